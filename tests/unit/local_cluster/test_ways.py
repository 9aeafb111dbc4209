"""Which way to a cluster is taken."""

import pytest

from local_cluster.errors import ClusterError
from local_cluster.ways import Way, choose


@pytest.mark.parametrize(
    ("asked", "kind_possible", "want"),
    [
        pytest.param(None, True, Way.KIND, id="kind where it can run"),
        pytest.param(None, False, Way.LOCAL, id="the local cluster where kind cannot run"),
        pytest.param("", True, Way.KIND, id="an empty variable is an unset one"),
        pytest.param("local", True, Way.LOCAL, id="local when asked for"),
        pytest.param("kind", True, Way.KIND, id="kind when asked for"),
        pytest.param("current", False, Way.CURRENT, id="an existing cluster only when asked for"),
    ],
)
def test_choice(asked: str | None, kind_possible: bool, want: Way) -> None:
    environment = {} if asked is None else {"CLUSTER": asked}

    assert choose(environment, lambda: kind_possible) is want


def test_kind_that_cannot_run_is_refused_with_what_it_needs() -> None:
    with pytest.raises(ClusterError, match="`kind` and a Docker daemon"):
        choose({"CLUSTER": "kind"}, lambda: False)


def test_an_unknown_way_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match="CLUSTER=minikube is not known; it may be: current, kind, local"):
        choose({"CLUSTER": "minikube"}, lambda: False)
