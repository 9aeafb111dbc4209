"""The promises of the ledger on a real S3, under the torments that the unit test searches with on a store in memory."""

import secrets

from hypothesis.stateful import run_state_machine_as_test
from obstore.store import S3Store

from splai.artifacts.store_folder import StoreFolder
from tests.integration.minio import Minio
from tests.unit.worker.ledger_property.machine import LedgerMachine, torments


def test_every_record_once_and_counted_right_whatever_fails(minio: Minio) -> None:
    store: S3Store = minio.store(minio.make_bucket())

    class MachineOnMinio(LedgerMachine):
        @staticmethod
        def open_store() -> StoreFolder:
            return StoreFolder(store, "team", secrets.token_hex(8))

    run_state_machine_as_test(MachineOnMinio, settings=torments(examples=8, steps=15))
