"""Where a setting comes from, in which order, and what is said about one that cannot be what was meant."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SettingsError
from harness.settings import DEFAULT_UPSTREAM, Bucket, Match, Mode, NamedUpstream, Settings, check, load, parse_mode

MODES = "replay, record, record-if-missing, live"

SOURCES: dict[str, tuple[Any, str, str, Any, Any, Any, Any]] = {
    # By setting: the flag, the variable, the line of [tool.harness], and what each of them and the default mean.
    "mode": ("live", "record", '"record-if-missing"', Mode.LIVE, Mode.RECORD, Mode.RECORD_IF_MISSING, Mode.REPLAY),
    "mcp_mode": ("live", "record", '"replay"', Mode.LIVE, Mode.RECORD, Mode.REPLAY, None),
    "mcp_approval": ("never", "always", '"never"', "never", "always", "never", "always"),
    "recordings": ("a", "b", '"c"', Path("a"), Path("b"), Path("c"), Path("recordings")),
    "upstream": ("http://a/1", "http://b/", '"http://c"', "http://a/1", "http://b", "http://c", DEFAULT_UPSTREAM),
    "strict": (True, "no", "true", True, False, True, False),
    "responses": ("upstream", "local", '"upstream"', "upstream", "local", "upstream", "local"),
    "record_errors": (True, "no", "true", True, False, True, False),
    "timings": (True, "no", "true", True, False, True, False),
    "vcr": (True, "no", "true", True, False, True, False),
    "speed": ("1", "0.5", "10", 1.0, 0.5, 10.0, None),
    "state": ("a.db", "b.db", '"c.db"', "a.db", "b.db", "c.db", None),
}  # fmt: skip


def project(directory: Path, text: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "pyproject.toml").write_text(text)
    return directory


def failure(directory: Path, environ: Mapping[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(flags, environ or {}, directory)
    return str(caught.value)


@pytest.mark.parametrize("name", SOURCES)
def test_flag_then_environment_then_file_then_default(tmp_path: Path, name: str) -> None:
    flag, variable, line, *meant = SOURCES[name]
    directory = project(tmp_path, f"[tool.harness]\n{name} = {line}\n")
    environ = {f"HARNESS_{name.upper()}": variable}
    found = [
        load({name: flag}, environ, directory),
        load({name: None}, environ, directory),
        load({}, {}, directory),
    ]
    (directory / "pyproject.toml").unlink()
    found.append(load({}, {}, directory))
    values = [getattr(settings, name) for settings in found]
    if name in ("recordings", "state"):
        values = [value and os.path.relpath(value, tmp_path) for value in values]
        meant = [value and str(value) for value in meant]
    assert values == meant


@pytest.mark.parametrize("text", ["RECORD", "Record", " record "])
def test_capitals_do_not_matter(tmp_path: Path, text: str) -> None:
    project(tmp_path, f'[tool.harness]\nmode = "{text}"\n')
    assert parse_mode(text) is Mode.RECORD
    assert load({}, {}, tmp_path).mode is Mode.RECORD
    assert load({}, {"HARNESS_MODE": text}, tmp_path).mode is Mode.RECORD
    assert load({"mode": text}, {}, tmp_path).mode is Mode.RECORD


@pytest.mark.parametrize("value", ["", " ", "play", "record_if_missing", "recordd", "none", "1", "replay,record"])
def test_any_other_mode_is_an_error_that_names_its_source(tmp_path: Path, value: str) -> None:
    assert failure(tmp_path, mode=value) == f"--mode: {value!r} is not a mode.\nUse one of: {MODES}."
    in_environ = failure(tmp_path, {"HARNESS_MODE": value})
    assert in_environ == f"HARNESS_MODE: {value!r} is not a mode.\nUse one of: {MODES}."
    project(tmp_path, f'[tool.harness]\nmode = "{value}"\n')
    in_file = failure(tmp_path)
    assert in_file.startswith(f"[tool.harness] mode in {tmp_path / 'pyproject.toml'}: {value!r} is not a mode.")
    assert MODES in in_file


def test_a_mode_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    assert "True is not a mode" in failure(project(tmp_path, "[tool.harness]\nmode = true\n"))
    assert "['replay'] is not a mode" in failure(project(tmp_path, '[tool.harness]\nmode = ["replay"]\n'))


def test_servers_are_in_the_mode_of_the_model_unless_they_have_their_own() -> None:
    assert [(one.modes, one.writes) for one in (Settings(Mode.RECORD), Settings(mcp_mode=Mode.LIVE))] == [
        *(("record", True), ("replay (MCP servers: live)", False)),
    ]
    assert Settings(mcp_mode=Mode.RECORD).writes


def test_what_is_no_approval_is_an_error(tmp_path: Path) -> None:
    assert "HARNESS_MCP_APPROVAL: 'ask' is no approval" in failure(tmp_path, {"HARNESS_MCP_APPROVAL": "ask"})


def test_a_wrong_value_is_no_matter_where_a_better_source_has_a_right_one(tmp_path: Path) -> None:
    assert load({"mode": "live"}, {"HARNESS_MODE": "nonsense"}, tmp_path).mode is Mode.LIVE


def test_a_flag_is_named_as_its_door_names_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--harness-mode: 'x'"):
        load({"mode": "x"}, {}, tmp_path, flag_prefix="--harness-")


def test_paths_of_the_file_are_relative_to_it_and_others_to_the_working_directory(tmp_path: Path) -> None:
    project(tmp_path, '[tool.harness]\nrecordings = "kept"\nstate = "state.db"\n')
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    assert load({}, {}, below).recordings == tmp_path / "kept"
    assert load({}, {}, below).state == str(tmp_path / "state.db")
    assert load({"recordings": "mine"}, {}, below).recordings == below / "mine"
    assert load({}, {"HARNESS_RECORDINGS": "mine"}, below).recordings == below / "mine"
    assert load({"recordings": "/else"}, {}, below).recordings == Path("/else")
    assert load({}, {}, project(tmp_path / "other", "[tool.harness]\n")).recordings == tmp_path / "other/recordings"


def test_where_the_call_came_from_may_be_another_directory(tmp_path: Path) -> None:
    root, here = tmp_path, tmp_path / "tests"
    assert load({"recordings": "r"}, {}, root, here=here).recordings == here / "r"
    assert load({}, {"HARNESS_STATE": "s.db"}, root, here=here).state == str(here / "s.db")
    assert load({}, {}, root, here=here).recordings == root / "recordings"


def test_recordings_may_be_in_several_places(tmp_path: Path) -> None:
    project(tmp_path, '[tool.harness]\nrecordings = ["mine", "../shared", "s3://bucket/prefix/"]\n')
    settings = load({}, {}, tmp_path)
    assert settings.recordings == tmp_path / "mine"
    assert settings.more_recordings == (tmp_path / "../shared", Bucket("s3://bucket/prefix"))
    settings = load({"recordings": ("a", "b")}, {}, tmp_path)
    assert (settings.recordings, settings.more_recordings) == (tmp_path / "a", (tmp_path / "b",))
    settings = load({}, {"HARNESS_RECORDINGS": f"s3://b/a{os.pathsep}c{os.pathsep}/d"}, tmp_path)
    assert (settings.recordings, settings.more_recordings) == (Bucket("s3://b/a"), (tmp_path / "c", Path("/d")))
    with pytest.raises(SettingsError, match="--recordings DIR"):
        str(settings.directory)


@pytest.mark.parametrize("place", ["gs://bucket", "s3://", "s3://key:secret@bucket", "s3://bucket?x=1", ""])
def test_what_is_no_place_of_recordings(tmp_path: Path, place: str) -> None:
    with pytest.raises(SettingsError, match="--recordings") as raised:
        load({"recordings": (place,)}, {}, tmp_path)
    assert "secret" not in str(raised.value)


def test_a_place_that_is_only_read_is_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="typo"):
        check(Settings(recordings=tmp_path, more_recordings=[tmp_path / "typo"]))


@pytest.mark.parametrize("place", ["postgresql://u:p@host/db", "sqlite:///x.db"])
def test_a_state_that_is_a_url_stays_as_it_is(tmp_path: Path, place: str) -> None:
    assert load({"state": place}, {}, tmp_path).state == place


def test_the_state_can_be_put_back_into_memory(tmp_path: Path) -> None:
    project(tmp_path, '[tool.harness]\nstate = "state.db"\n')
    assert load({"state": ":memory:"}, {}, tmp_path).state is None


@pytest.mark.parametrize("name", ["recordings", "state"])
def test_an_empty_place_is_an_error(tmp_path: Path, name: str) -> None:
    variable = f"HARNESS_{name.upper()}"
    assert failure(tmp_path, {variable: ""}).startswith(f"{variable} is empty.")
    assert "5 is not text" in failure(project(tmp_path, f"[tool.harness]\n{name} = 5\n"))


@pytest.mark.parametrize(
    "value", ["", "localhost:8099", "ftp://a/v1", "http://", "http:///v1", "http://a:x/v1", "http://a b/v1", "http://["]
)
def test_an_upstream_that_is_no_base_url(tmp_path: Path, value: str) -> None:
    assert failure(tmp_path, upstream=value).startswith(f"--upstream: {value!r} is not a base URL.")
    assert "HARNESS_UPSTREAM: " in failure(tmp_path, {"HARNESS_UPSTREAM": value})


def test_an_upstream_that_cannot_be_one(tmp_path: Path) -> None:
    assert "ends with its path" in failure(tmp_path, upstream="http://a/v1?key=1")
    secret = failure(tmp_path, upstream="http://me:sesame@a/v1")
    assert "OPENAI_API_KEY" in secret
    assert "sesame" not in secret


@pytest.mark.parametrize(("word", "meant"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("Off", False)])
def test_strict_in_words(tmp_path: Path, word: str, meant: bool) -> None:
    assert load({}, {"HARNESS_STRICT": word}, tmp_path).strict is meant


@pytest.mark.parametrize("word", ["", "maybe", "2"])
def test_strict_in_no_word(tmp_path: Path, word: str) -> None:
    assert failure(tmp_path, {"HARNESS_STRICT": word}).startswith(f"HARNESS_STRICT: {word!r} is neither")


@pytest.mark.parametrize("text", ["[tool.harness\n", "[tool.harness]\nmode = replay\n"])
def test_broken_toml_names_the_file_and_the_line(tmp_path: Path, text: str) -> None:
    message = failure(project(tmp_path, text))
    assert message.startswith(str(tmp_path / "pyproject.toml"))
    assert "line" in message


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")
    assert "pyproject.toml" in failure(tmp_path)


@pytest.mark.parametrize("text", ["", "tool = 3\n", "[tool.other]\nmode = 'x'\n", "[project]\nname = 'a'\n"])
def test_a_file_without_settings_is_passed_over(tmp_path: Path, text: str) -> None:
    project(tmp_path, '[tool.harness]\nmode = "live"\n')
    assert load({}, {}, project(tmp_path / "inner", text)).mode is Mode.LIVE


def test_a_name_that_means_nothing_is_an_error(tmp_path: Path) -> None:
    message = failure(project(tmp_path, '[tool.harness]\nmod = "record"\n'))
    assert "'mod' is no setting" in message
    assert "mode, recordings" in message
    assert "is not a table" in failure(project(tmp_path, '[tool]\nharness = "record"\n'))
    assert "'ignored' is no setting" in failure(project(tmp_path, "[tool.harness.match]\nignored = []\n"))


def test_a_name_that_is_none_in_a_rule(tmp_path: Path) -> None:
    rule = "[tool.harness.match]\nreplace = [{ pattern = 'a', placeholder = 'b', flags = 'i' }]\n"
    assert "[tool.harness.match] replace: 'flags' is no setting" in failure(project(tmp_path, rule))


def test_the_users_rules(tmp_path: Path) -> None:
    rules = """
        [tool.harness.match]
        ignore = ["messages[*].name", "metadata.run"]
        replace = [{ pattern = '\\d+', placeholder = "N" }]
    """
    match = load({}, {}, project(tmp_path, rules)).match
    assert match == Match(("messages[*].name", "metadata.run"), (("\\d+", "N"),))
    assert load({}, {}, project(tmp_path, "")).match == Match()


@pytest.mark.parametrize(
    "line",
    [
        'ignore = "messages"',
        "ignore = [1]",
        'replace = ["x"]',
        'replace = { pattern = "a", placeholder = "b" }',
        'replace = [{ pattern = "a" }]',
        'replace = [{ pattern = 1, placeholder = "b" }]',
    ],
)
def test_rules_that_are_none(tmp_path: Path, line: str) -> None:
    message = failure(project(tmp_path, f"[tool.harness.match]\n{line}\n"))
    assert message.startswith("[tool.harness.match] is not what it should be.")
    assert "pattern" in message


def test_names_of_upstreams(tmp_path: Path) -> None:
    project(tmp_path, '[tool.harness.upstreams.azure]\nbase_url = "https://x"\n[tool.harness.upstreams.openai]\n')
    assert load({}, {}, tmp_path).upstream_names == ("openai", "azure")
    assert "upstreams] is not a table" in failure(project(tmp_path, "[tool.harness]\nupstreams = 1\n"))


@pytest.mark.parametrize("key", ["", " ", "none", "None", "harness"])
def test_what_stands_for_no_key_is_none(tmp_path: Path, key: str) -> None:
    assert load({}, {"OPENAI_API_KEY": key}, tmp_path).api_key is None


def test_a_command_that_was_copied_with_its_placeholder_is_told_of_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="OPENAI_API_KEY: … stands for your key"):
        load({}, {"OPENAI_API_KEY": "…"}, tmp_path)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    settings = load({"state": "postgresql://u:sesame@h/db"}, {"OPENAI_API_KEY": "sk-sesame\n"}, tmp_path)
    assert settings.api_key == "sk-sesame"
    assert "sesame" not in repr(settings)


def test_a_file_in_the_place_of_the_recordings(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="not a directory"):
        check(Settings(recordings=tmp_path / "file"))
    with pytest.raises(SettingsError, match="does not allow it"):
        check(Settings(Mode.RECORD, recordings=tmp_path / "file" / "below"))


def test_a_place_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Permissions do not bind the superuser, who may run this test.
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    settings = Settings(recordings=tmp_path / "new" / "recordings")
    for mode in (Mode.REPLAY, Mode.LIVE):
        check(dataclasses.replace(settings, mode=mode))
    for mode in (Mode.RECORD, Mode.RECORD_IF_MISSING):
        with pytest.raises(SettingsError, match="does not allow it"):
            check(dataclasses.replace(settings, mode=mode))


def test_connectors_have_urls(tmp_path: Path) -> None:
    project(tmp_path, '[tool.harness]\nmcp_connectors = {connector_gmail = "http://127.0.0.1:8000/mcp"}\n')
    assert load({}, {}, tmp_path).mcp_connectors == {"connector_gmail": "http://127.0.0.1:8000/mcp"}
    for wrong in ('"http://127.0.0.1:8000"', "{connector_gmail = 8000}", '{connector_gmail = "127.0.0.1:8000"}'):
        project(tmp_path, f"[tool.harness]\nmcp_connectors = {wrong}\n")
        assert "is not a table of http URLs" in failure(tmp_path)


def test_parameters_of_an_upstreams_own_are_names(tmp_path: Path) -> None:
    project(tmp_path, '[tool.harness]\nupstream_parameters = ["grammar", "mirostat"]\n')
    assert load({}, {}, tmp_path).upstream_parameters == ("grammar", "mirostat")
    for wrong in ('"grammar"', "[1]", "{}"):
        project(tmp_path, f"[tool.harness]\nupstream_parameters = {wrong}\n")
        assert "upstream_parameters" in failure(tmp_path)


def upstreams(directory: Path, lines: str, environ: Mapping[str, str] | None = None) -> Mapping[str, NamedUpstream]:
    return load({}, environ or {}, project(directory, f"[tool.harness.upstreams]\n{lines}\n")).upstreams


def test_what_is_known_of_an_upstream_need_not_be_said(tmp_path: Path) -> None:
    environ = {"ANTHROPIC_API_KEY": "a", "MY_KEY": "b", "AZURE_OPENAI_API_KEY": "c"}
    lines = """
        anthropic = {}
        ollama = {base_url = "http://elsewhere:11434/v1"}
        mine = {base_url = "https://mine.example/v1/", key_env = "MY_KEY", headers = {X-Team = "t"}}
        azure = {base_url = "https://r.openai.azure.com", api_version = "2024-10-21"}
    """
    found = upstreams(tmp_path, lines, environ)
    assert found["anthropic"] == NamedUpstream(
        "https://api.anthropic.com/v1",
        "a",
        "x-api-key",
        headers={"anthropic-version": "2023-06-01"},
        key_env="ANTHROPIC_API_KEY",
    )
    assert found["ollama"] == NamedUpstream("http://elsewhere:11434/v1", None, "none")
    assert found["mine"] == NamedUpstream("https://mine.example/v1", "b", headers={"x-team": "t"}, key_env="MY_KEY")
    deployment = "https://r.openai.azure.com/openai/deployments/{model}"
    assert found["azure"] == NamedUpstream(
        deployment, "c", "api-key", query={"api-version": "2024-10-21"}, key_env="AZURE_OPENAI_API_KEY"
    )
    newer = upstreams(tmp_path, 'azure = {base_url = "https://r.openai.azure.com"}')
    assert newer["azure"].base_url == "https://r.openai.azure.com/openai/v1"
    assert "'a'" not in repr(found)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mine = {}", "has no base_url"),
        ('v1 = {base_url = "https://x"}', "cannot be a name"),
        ('mine = {base_url = "x"}', "is not a base URL"),
        ('mine = {base_url = "https://x", url = "y"}', "'url' is no setting"),
        ('mine = {base_url = "https://x", auth = "basic"}', "auth 'basic' is not known"),
        ('mine = {base_url = "https://x", query = {a = 1}}', "query is not a table of texts"),
        ("mine = 7", "is not a table"),
    ],
)
def test_upstreams_that_are_none(tmp_path: Path, line: str, message: str) -> None:
    error = failure(project(tmp_path, f"[tool.harness.upstreams]\n{line}\n"))
    assert message in error
    assert "upstreams." in error
