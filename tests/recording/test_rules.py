"""The user's rules and presets: what they set aside, where they hold, what they find and put back."""

import pytest

from harness.errors import SettingsError
from harness.recording.canonical import Canonicalizer
from harness.recording.model import Json, Request
from harness.recording.presets import PRESETS, preset
from harness.recording.rules import ignoring, replacing


def asked(text: Json, path: str = "/v1/chat/completions", **more: Json) -> Request:
    return Request("POST", path, {"model": "m", "messages": [{"role": "user", "content": text}], **more})


def said(name: str, text: str) -> str:
    canonical = Canonicalizer(rules=preset(name)).canonical(asked(text))
    return str(canonical["body"]["messages"][0]["content"])


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("dates", "Today is 2025-01-03.", "Today is 2026-11-22T10:00:00.123Z."),
        ("dates", "It is Friday, January 3, 2025.", "It is Sunday, November 22nd, 2026 10:15 PM."),
        ("dates", "due 3 Jan 2025", "due Sun, 22 Nov 2026 10:00:00 GMT"),
        ("dates", "at 10:00:00 sharp", "at 23:59:59.5 sharp"),
        ("dates", "on 1/3/2025", "on 11/22/2026"),
        ("dates", "on 2025/01/03", "on 22.11.2026"),
        ("dates", "on 3-Jan-2025", "on 22nd of November 2026, 9 PM"),
        ("dates", "on 20250103", "on 20261122T101500Z"),
        ("dates", "log_2025-01-03_09-05-07", "log_2026-11-22"),
        ("dates", "Fri Jan  3 09:05:07 2025", "Sun Nov 22 10:15:00 CET 2026"),
        ("dates", "now: January 3, 2025 at 9:05 a.m. EST", "now: 2026-11-22T10:15:00+01:00[Europe/Berlin]"),
        ("dates", "2025-01-03 09:05:07 America/New_York", "2026-11-22T10:15-05"),
        ("dates", "Fri Jan 03 2025 09:05:07 GMT+0100 (Central European Standard Time)", "2025-W01-5"),
        ("uuids", "run_3f2504e04f8941d39a0c0305e82c3301", "run_9A0C04E04F8947D39A0C0305E82C3301"),
        ("paths", "in D:\\a\\repo\\repo", "in C:/Users/RUNNER~1/AppData/Local/Temp/pytest-of-me"),
        ("paths", '{"log": "\\n/' + 'tmp/x1/a.txt"}', '{"log": "\\n/Users/me/x/y/a.txt"}'),
        ("paths", "/" + "tmp/x1:/" + "tmp/y2", "/__w/r/r:/private/var/folders/zz/T/pytest-of-me"),
        ("uuids", "run 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "run 9A0C04E0-4F89-41D3-9A0C-0305E82C3301"),
        ("paths", "cd /" + "tmp/pytest-of-me/pytest-0/test_x0", "cd /home/runner/work/repo"),
        ("paths", "open /" + "tmp/a8f3/report.txt", "open /Users/me/project/report.txt"),
        ("paths", "in C:\\Users\\me\\AppData\\x", "in C:\\Temp\\y"),
        ("file-search", "see file-abc123def456, score: 0.91", "see file-zzz999yyy888, score: 0.13"),
        (
            "file-search",
            "[1] document_id: a1, score: 0.9\nParis\n[2] document_id: b2, score: 0.9\nRome\nEND of results",
            "[1] document_id: c3, score: 0.8\nRome\n[2] document_id: d4, score: 0.7\nParis\nEND of results",
        ),
    ],
)
def test_a_preset_sets_aside_what_changes_from_run_to_run(name: str, one: str, other: str) -> None:
    assert said(name, one) == said(name, other)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dates", "In 2025 there were 3 of 10, version 1.2.3, from 10:00 to 11:00, id 12025-01-034."),
        ("uuids", "3f2504e04f8911d39a0c0305e82c3301 and 3f2504e0-4f89"),
        ("paths", "and/or, https://example.com/home/x, /usr/lib, ./tmp/x"),
        ("file-search", "a file-based approach with a score, and profile-pictures"),
    ],
)
def test_a_preset_leaves_other_text_alone(name: str, text: str) -> None:
    assert said(name, text) == text


def test_the_name_of_a_file_still_counts() -> None:
    folder = "/" + "tmp/a8f3/"
    assert said("paths", f"{folder}report.txt") != said("paths", f"{folder}other.txt")


def test_a_rule_may_hold_for_one_endpoint() -> None:
    rules = [
        ignoring("seed", "/v1/embeddings"),
        replacing(r"\d+", "N", "/v1/vector_stores/*/search"),
    ]
    canonicalizer = Canonicalizer(rules=rules)

    def equal(path: str, one: Json, other: Json) -> bool:
        return canonicalizer.fingerprint(Request("POST", path, one)) == canonicalizer.fingerprint(
            Request("POST", path, other)
        )

    assert equal("/v1/embeddings", {"seed": 1}, {"seed": 2})
    assert not equal("/v1/chat/completions", {"seed": 1}, {"seed": 2})
    assert equal("/v1/vector_stores/vs_1/search", {"query": "a 1"}, {"query": "a 2"})
    assert not equal("/v1/vector_stores", {"query": "a 1"}, {"query": "a 2"})


def test_placeholders_map_what_was_recorded_to_what_is_there_now() -> None:
    canonicalizer = Canonicalizer(rules=[replacing(r"build \d+", "build N"), *preset("dates")])
    recorded = asked("On 2025-01-03, build 7, then 2025-01-04.")
    present = asked("On 2026-11-22, build 8, then 2025-01-04.", temperature=None)

    found = canonicalizer.placeholders(recorded, present)

    assert found == {"build 7": "build 8", "2025-01-03": "2026-11-22"}
    assert canonicalizer.placeholders(recorded, recorded) == {}
    assert Canonicalizer().placeholders(recorded, present) == {}


def test_an_id_that_a_text_quotes_is_the_runs_own() -> None:
    canonicalizer = Canonicalizer()
    recorded, present = (asked(f'Before: {{"id": "fc_{digit * 48}", "type": "function_call"}}') for digit in "ab")

    assert canonicalizer.fingerprint(recorded) == canonicalizer.fingerprint(present)
    assert canonicalizer.placeholders(recorded, present) == {f"_{'a' * 48}": f"_{'b' * 48}"}
    longer = asked(f'Before: {{"id": "fc_{"a" * 49}", "type": "function_call"}}')
    assert canonicalizer.fingerprint(recorded) != canonicalizer.fingerprint(longer)


def test_a_date_in_the_name_of_a_model_says_which_model_it_is() -> None:
    canonicalizer = Canonicalizer(rules=preset("dates"))
    one, other = (asked("On 2025-01-03", model=f"gpt-4o-2024-{date}") for date in ("05-13", "08-06"))

    assert canonicalizer.fingerprint(one) != canonicalizer.fingerprint(other)
    assert canonicalizer.canonical(one)["body"]["model"] == "gpt-4o-2024-05-13"
    assert canonicalizer.placeholders(one, asked("On 2026-11-22", model="gpt-4o-2024-05-13")) == {
        "2025-01-03": "2026-11-22"
    }


def test_each_step_says_which_rule_changed_what() -> None:
    request = asked([{"type": "text", "text": "On 2025-01-03"}], temperature=1.0)
    steps = Canonicalizer(rules=preset("dates")).steps(request)

    assert [step.rule for step in steps] == ["1.0 is 1", "one text part is its text", "dates: <date>"]
    assert steps[0].before == request.body
    assert [step.after for step in steps[:-1]] == [step.before for step in steps[1:]]
    assert steps[-1].after["messages"][0]["content"] == "On <date>"


@pytest.mark.parametrize("path", ["", "$", "a..b", "$..b", ".a", "a.", "a[-1]", "a[b]", "a b", "a[0]b]"])
def test_a_path_that_is_none_is_told(path: str) -> None:
    with pytest.raises(SettingsError, match="is not a path"):
        ignoring(path)


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("a", {"b": [[1, {"c": 2}], 3]}),
        ("$.b[0][1].c", {"a": 0, "b": [[1, {}], 3]}),
        ("b[*]", {"a": 0, "b": []}),
        ("$b[0][*]", {"a": 0, "b": [[], 3]}),
        ("b[7].c", {"a": 0, "b": [[1, {"c": 2}], 3]}),
    ],
)
def test_a_path_takes_out_what_it_names(path: str, left: Json) -> None:
    assert ignoring(path).apply({"a": 0, "b": [[1, {"c": 2}], 3]}) == left


def test_a_preset_that_is_none_names_those_that_are() -> None:
    with pytest.raises(SettingsError) as raised:
        preset("date")
    assert all(name in raised.value.hint for name in PRESETS)
