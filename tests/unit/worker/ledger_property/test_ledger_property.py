"""Every record exactly once, counted right, whatever fails: searched for by hypothesis on a store in memory."""

from obstore.store import MemoryStore

from splai.artifacts.store_folder import StoreFolder
from tests.unit.worker.ledger_property.machine import LedgerMachine, torments


class MachineInMemory(LedgerMachine):
    @staticmethod
    def open_store() -> StoreFolder:
        return StoreFolder(MemoryStore(), "team", "0000-1111")


TestLedgerInMemory = MachineInMemory.TestCase
TestLedgerInMemory.settings = torments(examples=40, steps=25)
