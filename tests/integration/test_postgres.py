"""The PostgreSQL that tests get: what is committed outlives a crash, and tests do not see each other's tables."""

import pytest

from local_cluster.errors import ClusterError
from tests.integration.postgres import Postgres


def test_what_is_committed_outlives_a_crash(own_postgres: Postgres) -> None:
    own_postgres.psql("CREATE TABLE history (job text)")
    own_postgres.psql("INSERT INTO history VALUES ('triage')")

    own_postgres.kill()
    own_postgres.start()

    assert own_postgres.psql("SELECT job FROM history") == "triage"


def test_databases_are_apart(postgres: Postgres) -> None:
    one, other = postgres.make_database(), postgres.make_database()

    one.psql("CREATE TABLE history (job text)")

    with pytest.raises(ClusterError, match='relation "history" does not exist'):
        other.psql("SELECT job FROM history")
