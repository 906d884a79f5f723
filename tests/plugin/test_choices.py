"""What a project can choose: markers, pytest's file, its own hook, models and setups."""

import pytest

from tests.plugin.project import HELLO, record


def test_the_marker_alone_is_enough_and_the_closest_one_counts(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Ours!", "mine", below="tests/kept")
    record(pytester, "Say hello", "Hello!", below="tests/else")
    pytester.path.joinpath("tests", "test_marked.py").write_text(
        """
import os, pytest
from app import ask

pytestmark = pytest.mark.harness(recordings="kept")

@pytest.mark.harness(scope="mine", strict=True)
class TestMarked:
    def test_of_class(self, harness_scope):
        assert ask("Say hello") == "Ours!" and harness_scope == "mine"

    @pytest.mark.harness(recordings="else", strict=False)
    def test_of_its_own(self):
        assert ask("Say hello") == "Hello!"

@pytest.fixture
def client():
    return os.environ["OPENAI_BASE_URL"]

def test_before_other_fixtures(client):
    assert "/scope/tests%2F" in client
    assert ask("Say hello") == "Ours!"
"""
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["3 replayed, 0 recorded, 0 missed"])


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("mod='live'", "@pytest.mark.harness of test_app.py::test_hello: 'mod' is no setting."),
        ("mode='liv'", "@pytest.mark.harness of test_app.py::test_hello: mode: 'liv' is not a mode."),
        ("'live'", "@pytest.mark.harness of test_app.py::test_hello: 'live' has no name."),
    ],
)
def test_a_marker_that_means_nothing_says_so(pytester: pytest.Pytester, marker: str, said: str) -> None:
    test = f"import pytest\n@pytest.mark.harness({marker})\ndef test_hello(): pass\ndef test_other(): pass\n"
    pytester.makepyfile(test_app=test)
    result = pytester.runpytest("--strict-markers")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines([f"*{said}"])
    assert "During handling" not in result.stdout.str()


def test_one_test_is_live_while_the_others_replay(pytester: pytest.Pytester, upstream_url: str) -> None:
    record(pytester, "Say hello", "Hello!")
    pytester.makepyfile(
        test_app=HELLO
        + f"""
    import pytest

    @pytest.mark.harness(mode="live", upstream={upstream_url!r})
    def test_live():
        assert ask("Say hello", max_tokens=4) != "Hello!"
"""
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*- harness, mode replay, live -*", "1 replayed, 0 recorded, 0 missed, 1 live"])


def test_recordings_are_beside_the_test_unless_they_are_named(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Beside!", below="tests/recordings")
    record(pytester, "Say hello", "Root!")
    show = "def test_it(harness_base_url):\n    from app import ask\n    print('said', ask('Say hello'))\n"
    pytester.path.joinpath("tests", "test_near.py").write_text(show)
    pytester.makepyfile(test_far=show)
    shown = pytester.runpytest("-s")
    shown.stdout.fnmatch_lines(["*test_far.py said Root!", "*test_near.py said Beside!"])
    named = pytester.runpytest("-s", "--harness-recordings=recordings")
    named.stdout.fnmatch_lines(["*test_far.py said Root!", "*test_near.py said Root!"])


def test_what_the_file_of_pytest_says_comes_after_the_environment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        harness_recordings = "of-pytest"
        harness_mode = "live"

        [tool.harness]
        recordings = "of-harness"
        mode = "record"
        strict = true
        """
    )
    pytester.makepyfile(
        "def test_it(harness_settings): s = harness_settings; print(s.recordings.name, s.mode, s.strict)"
    )
    pytester.runpytest("-s").stdout.fnmatch_lines(["*of-pytest live True"])
    monkeypatch.setenv("HARNESS_RECORDINGS", "of-variable")
    pytester.runpytest("-s").stdout.fnmatch_lines(["*of-variable live True"])
    pytester.runpytest("-s", "--harness-mode=replay").stdout.fnmatch_lines(["*of-variable replay True"])
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nharness_mode = 'lively'\n")
    wrong = pytester.runpytest()
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    wrong.stderr.fnmatch_lines(["*harness_mode in *pyproject.toml: 'lively' is not a mode.*"])


def test_each_folder_has_the_settings_that_its_conftest_says(pytester: pytest.Pytester) -> None:
    for name in ("one", "two"):
        record(pytester, "Say hello", name, below=f"{name}/kept")
        pytester.path.joinpath(name, "conftest.py").write_text(
            "import dataclasses, pathlib, pytest\n\n"
            "@pytest.fixture(scope='session')\n"
            "def harness_settings(harness_settings):\n"
            "    return dataclasses.replace(harness_settings, recordings=pathlib.Path(__file__).parent / 'kept')\n"
        )
        test = f"from app import ask\n\ndef test_it(harness_base_url):\n    assert ask('Say hello') == {name!r}\n"
        pytester.path.joinpath(name, f"test_{name}.py").write_text(test)
    record(pytester, "Say hello", "root")
    pytester.makepyfile(test_root=test.replace("two", "root"))
    pytester.runpytest().assert_outcomes(passed=3)


def test_a_hook_changes_the_settings_once(pytester: pytest.Pytester) -> None:
    record(pytester, "Say hello", "Hello!", below="hooked")
    pytester.makeconftest(
        """
        import dataclasses

        def pytest_harness_configure(config, settings):
            print("hooked", settings.mode)
            return dataclasses.replace(settings, recordings=config.rootpath / "hooked")
        """
    )
    pytester.makepyfile(test_app=HELLO, test_more=HELLO)
    result = pytester.runpytest("-s")
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("hooked replay") == 1
    pytester.makeconftest("def pytest_harness_configure(config, settings): return {'strict': True}")
    wrong = pytester.runpytest()
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    wrong.stdout.fnmatch_lines(["*harness: pytest_harness_configure returned dict, not Settings.*"])


MODELS = """
    from app import ask

    def test_each(harness_base_url, model):
        assert ask("Say hello", model=model) == model
"""


def test_a_test_runs_with_each_model(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/b", "c"):
        record(pytester, "Say hello", name, model=name)
    pytester.makepyfile(
        test_models=MODELS,
        test_own="""
        import pytest

        @pytest.fixture
        def model():
            return "own"

        def test_own(model):
            assert model == "own"
        """,
        test_filled="""
        import pytest

        @pytest.mark.parametrize("x, model", [(1, 2)])
        def test_it(x, model):
            assert model == 2
        """,
    )
    result = pytester.runpytest("--harness-models=a/b, c,d", "-v")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*test_each[[]a/b] PASSED*", "*test_each[[]c] PASSED*", "*test_each[[]d] FAILED*"])
    result.stdout.fnmatch_lines(['*pytest "test_models.py::test_each[[]d]" --harness-models=*'])
    monkeypatch.setenv("HARNESS_MODELS", "c")
    pytester.runpytest("test_models.py").assert_outcomes(passed=1)
    monkeypatch.delenv("HARNESS_MODELS")
    without = pytester.runpytest("test_models.py")
    without.assert_outcomes(errors=1)
    without.stdout.fnmatch_lines(["harness: the fixture model has no models.", "Give --harness-models A,B*"])


SETUPS = """
    [tool.pytest.ini_options]
    [tool.harness.setups]
    here = {models = ["c"], upstream = "http://127.0.0.1:9/v1", env = {OPENAI_API_KEY = "$MY_KEY", WHERE = "here"}}
    there = {models = ["c", "d"]}
"""


def test_a_setup_brings_models_upstream_and_variables(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("c", "d"):
        record(pytester, "Say hello", name, model=name)
    pytester.makepyprojecttoml(SETUPS)
    monkeypatch.setenv("MY_KEY", "sk-mine")
    pytester.makepyfile(
        test_models=MODELS,
        test_env="import os\nkey, where = os.environ.get('OPENAI_API_KEY'), os.environ.get('WHERE')\n"
        "def test_it(harness_settings): print('has', where, key, harness_settings.api_key, harness_settings.upstream)",
    )
    here = pytester.runpytest("-s", "--harness-setup=here")
    here.assert_outcomes(passed=2)
    here.stdout.fnmatch_lines(["*has here sk-mine sk-mine http://127.0.0.1:9/v1"])
    pytester.runpytest("--harness-setup=there").assert_outcomes(passed=3)
    monkeypatch.delenv("MY_KEY")
    pytester.runpytest("--harness-setup=here").assert_outcomes(passed=2)
    missing = pytester.runpytest("--harness-setup=here", "--harness-mode=record")
    assert missing.ret == pytest.ExitCode.USAGE_ERROR
    missing.stderr.fnmatch_lines(["*The setup's OPENAI_API_KEY takes its value from MY_KEY, which is not set.*"])
    pytester.makepyfile(test_env="def test_it(harness_base_url):\n    from app import ask\n    ask('Never said')")
    missed = pytester.runpytest("--harness-setup=here", "test_env.py")
    missed.stdout.fnmatch_lines(["Record what was missed* MY_KEY=… *pytest* --harness-setup=here"])
    pytester.makepyprojecttoml(SETUPS.replace("$MY_KEY", "5$ a month"))
    stray = pytester.runpytest("--harness-setup=here")
    assert stray.ret == pytest.ExitCode.USAGE_ERROR
    stray.stderr.fnmatch_lines(["*setups.here* env: the value of OPENAI_API_KEY has a $ that names no variable.*"])
    none = pytester.runpytest("--harness-setup=nowhere")
    assert none.ret == pytest.ExitCode.USAGE_ERROR
    none.stderr.fnmatch_lines(["*No setup 'nowhere' in *pyproject.toml.*", "*there: here, there."])
