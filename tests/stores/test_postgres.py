"""What only PostgreSQL can do to a state: refuse to be reached, lack its driver, close connections."""

import asyncio
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from sqlalchemy import URL, make_url

from harness.errors import SettingsError
from harness.stores.state import SqlState, open_state, state_url
from harness.stores.state_address import Reach
from harness.stores.state_refusal import refusal


def opened(url: URL | str) -> None:
    async def main() -> None:
        state = await open_state(state_url(url if isinstance(url, str) else url.render_as_string(hide_password=False)))
        await state.close()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["postgresql", "postgres"])
def test_a_driver_that_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(SettingsError) as caught:
        opened(f"{name}://me:hunter2@db/x?password=hunter3")
    assert caught.value.hint == "Install its driver with: pip install 'harness[postgres]'"
    assert "hunter" not in str(caught.value)


def test_what_sqlalchemy_misses_of_its_own_is_in_the_extra() -> None:
    error = ImportError("The SQLAlchemy asyncio module requires that the Python 'greenlet' library is installed.")
    said = refusal(make_url("postgresql+asyncpg://db/x"), Reach.SERVER, error)
    assert said.hint == "Install its driver with: pip install 'harness[postgres]'"


Change = Callable[[URL], URL]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words", "hint"),
    [
        (lambda url: url.set(password="hunter2"), "password authentication failed", "psql -h 127.0.0.1 -p"),
        (lambda url: url.set(database="hunter"), "does not exist", "createdb -h 127.0.0.1 -p"),
        (lambda url: url.set(port=1), "Connect call failed", "pg_isready -h 127.0.0.1 -p 1"),
        (lambda url: url.set(host="no.such.host.invalid"), "cannot be opened", "pg_isready -h no.such.host.invalid"),
        (lambda url: url.update_query_dict({"sslmode": "require"}), "SSL", "pg_isready"),
        (lambda url: url.update_query_dict({"nonsense": "1"}), "nonsense", "option after the ?"),
    ],
    ids=["password", "database", "port", "host", "sslmode", "option"],
)
def test_a_server_that_refuses_is_explained(postgres_url: str, change: Change, words: str, hint: str) -> None:
    url = change(make_url(postgres_url))
    with pytest.raises(SettingsError, match=words) as caught:
        opened(url)
    assert hint in caught.value.hint
    assert url.password is not None
    assert url.password not in str(caught.value)
    assert (urlsplit(postgres_url).password or "") not in str(caught.value)


@pytest.mark.slow
def test_options_of_postgresqls_own_clients_are_understood(postgres_url: str) -> None:
    opened(make_url(postgres_url).update_query_dict({"sslmode": "disable"}))


@pytest.mark.slow
def test_a_user_who_may_create_no_tables_is_told_so(postgres_url: str) -> None:
    from tests.postgres_server import execute

    execute(postgres_url, "CREATE USER guest PASSWORD 'hunter2'")
    try:
        with pytest.raises(SettingsError, match="permission denied") as caught:
            opened(make_url(postgres_url).set(username="guest", password="hunter2"))
    finally:
        execute(postgres_url, "DROP USER guest")
    assert "GRANT CREATE ON SCHEMA public TO guest;" in caught.value.hint


@pytest.mark.slow
def test_a_schema_of_a_newer_harness_is_refused(postgres_url: str) -> None:
    from tests.postgres_server import execute

    opened(postgres_url)
    execute(postgres_url, "UPDATE harness_schema SET version = 99")
    with pytest.raises(SettingsError, match="version 99") as caught:
        opened(postgres_url)
    assert "pip install --upgrade" in caught.value.hint


@pytest.mark.slow
def test_connections_that_the_server_closed_are_replaced(postgres_url: str) -> None:
    async def script(state: SqlState) -> None:
        assert sorted(await asyncio.gather(*(state.count("") for _ in range(10)))) == list(range(1, 11))
        close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
        await asyncio.to_thread(execute, postgres_url, f"{close} current_database()")
        assert sorted(await asyncio.gather(*(state.count("") for _ in range(10)))) == list(range(11, 21))

    async def main() -> None:
        state = await open_state(state_url(postgres_url))
        await script(state)
        await state.close()

    from tests.postgres_server import execute

    asyncio.run(main())


@pytest.mark.slow
def test_more_calls_than_connections_wait_for_one(postgres_url: str) -> None:
    async def main() -> None:
        state = await open_state(state_url(postgres_url))
        await state.create_conversation({"id": "conv_1"}, [])
        adding = [state.add_items("conv_1", [{"id": f"msg_{number}"}]) for number in range(300)]
        reading = [state.items("conv_1") for _ in range(300)]
        await asyncio.gather(*adding, *reading)
        assert {item["id"] for item in await state.items("conv_1") or []} == {f"msg_{n}" for n in range(300)}
        await state.close()

    asyncio.run(main())
