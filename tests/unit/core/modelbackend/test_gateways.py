"""What is known of the requests at several gateways, of which some come, go or fall silent."""

from splai.api.gateway_load import BackendLoad, GatewayLoad
from splai.core.modelbackend.gateways import FORGOTTEN_AFTER, Gateway, GatewayView

ONE = Gateway("10.0.0.1:9464", "gw-1", is_ready=True)
TWO = Gateway("10.0.0.2:9464", "gw-2", is_ready=True)
STARTING = Gateway("10.0.0.2:9464", "gw-2", is_ready=False)


def load(in_flight: int = 0, held: int = 0) -> GatewayLoad:
    return GatewayLoad(replica="gw", models=[BackendLoad(namespace="a", backend="b", in_flight=in_flight, held=held)])


def view(*gateways: Gateway) -> GatewayView:
    made = GatewayView()
    made.listed(gateways, 0)
    return made


def test_two_gateways_add_up() -> None:
    seen = view(ONE, TWO)

    seen.heard({ONE.address: load(3, 1), TWO.address: load(2)}, 0)

    assert (seen.requests()["a/b"], seen.silent()) == (6, ())


def test_before_it_has_answered_a_ready_gateway_is_silent() -> None:
    seen = view(ONE, TWO)

    seen.heard({ONE.address: load()}, 0)

    assert seen.silent() == ("gw-2",)


def test_one_that_starts_has_no_requests_yet() -> None:
    seen = view(ONE, STARTING)

    seen.heard({ONE.address: load()}, 0)

    assert seen.silent() == ()


def test_the_last_answer_of_a_silent_one_counts_on() -> None:
    seen = view(ONE, TWO)
    seen.heard({ONE.address: load(3), TWO.address: load(2)}, 0)

    seen.heard({ONE.address: load()}, 1000)

    assert (seen.requests()["a/b"], seen.silent()) == (2, ("gw-2",))


def test_one_that_is_gone_counts_for_a_while() -> None:
    seen = view(ONE, TWO)
    seen.heard({ONE.address: load(), TWO.address: load(2)}, 0)

    seen.listed([ONE], FORGOTTEN_AFTER - 1)
    seen.heard({ONE.address: load()}, FORGOTTEN_AFTER - 1)
    assert (seen.requests()["a/b"], seen.silent()) == (2, ("gw-2",))

    seen.listed([ONE], FORGOTTEN_AFTER)
    seen.heard({ONE.address: load()}, FORGOTTEN_AFTER)
    assert (seen.requests()["a/b"], seen.silent()) == (0, ())


def test_one_that_is_unready_and_silent_for_long_has_lost_its_requests() -> None:
    seen = view(ONE, TWO)
    seen.heard({ONE.address: load(), TWO.address: load(2)}, 0)

    seen.listed([ONE, STARTING], FORGOTTEN_AFTER)
    seen.heard({ONE.address: load()}, FORGOTTEN_AFTER)

    assert (seen.requests()["a/b"], seen.silent()) == (0, ())


def test_another_pod_with_the_address_of_an_earlier_one_is_not_taken_for_it() -> None:
    seen = view(ONE)
    seen.heard({ONE.address: load(2)}, 0)

    seen.listed([Gateway(ONE.address, "gw-3", is_ready=True)], 1)

    assert (seen.requests()["a/b"], seen.silent()) == (0, ("gw-3",))


def test_no_gateway_is_different_from_not_knowing_any() -> None:
    assert (view().is_listed, GatewayView().is_listed) == (True, False)
