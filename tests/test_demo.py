"""The demonstration: what it reads, what it counts, what it reports, and how it fails."""

import importlib.util
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
from ipaddress import ip_address

import pytest

from rcu.demo import arguments, main, table
from rcu.demo.contenders import (
    Holder,
    LockContender,
    NoGracePeriodContender,
    RcuContender,
    ReaderWriterLockContender,
)
from rcu.demo.readers import Tally, read
from rcu.demo.readtimes import ReadTimes
from rcu.demo.table import TableError
from rcu.demo.trial import Settings, Trial
from rcu.demo.version import Ledger, ReadAfterUnmapError, TornReadError, Version
from rcu.demo.watch import Source

PROG = "python -m rcu demo"
PATIENCE = 60
GOOD = """\
name = "small"
routes = [
  { prefix = "0.0.0.0/0", via = "192.0.2.1", dev = "up0", metric = 10 },  # { prefix = "in a comment"
  { prefix = "10.0.0.0/8", dev = "a{b" },
  { prefix = "10.1.0.0/16", via = "192.0.2.2", dev = "c", metric = 7 },
  { prefix = "10.1.0.0/16", via = "192.0.2.3", dev = "d", metric = 5 },
  { prefix = "2001:db8::/33", dev = "e" },
]
"""
BAD_PREFIX = GOOD.replace("10.0.0.0/8", "10.0.0.300/8")
NO_COMMA = GOOD.replace('"10.0.0.0/8",', '"10.0.0.0/8"')


def save(path, text):
    """Replace the file at once: half a file, read in between, would be an error more."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "table.toml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "private"
    path.mkdir()
    return path


@pytest.fixture
def open_version(file, directory):
    ledger = Ledger()
    versions = []

    def open_one():
        versions.append(Version(table.load(file), directory, ledger))
        return versions[-1]

    yield open_one
    for version in versions:
        version.close()
    assert ledger.live == 0
    assert list(directory.iterdir()) == []


class TestTable:
    @pytest.mark.parametrize(
        ("text", "line", "at", "said"),
        [
            (NO_COMMA, 4, 'dev = "a{b"', "not TOML"),
            (BAD_PREFIX, 4, '"10.0.0.300/8"', "prefix '10.0.0.300/8' is not a network"),
            (GOOD.replace("10.0.0.0/8", "10.0.0.1/8"), 4, '"10.0.0.1/8"', "did you mean 10.0.0.0/8?"),
            (GOOD.replace('"192.0.2.3"', '"router"'), 6, '"router"', "via 'router' is not an address"),
            (GOOD.replace("metric = 7", "metric = -7"), 5, "-7", "metric -7 is not a whole number"),
            (GOOD.replace("metric = 7", "metric = true"), 5, "true", "metric True is not a whole number"),
            (GOOD.replace("metric = 7", "weight = 7"), 5, "7", "unknown key 'weight'"),
            (GOOD.replace('"c"', "3"), 5, "3, ", "dev 3 is not the name of an interface"),
            (GOOD.replace(', dev = "e"', ""), 7, "{", "a route has no 'dev'"),
            ('[[routes]]\ndev = "a"\n[[routes]]\nprefix = 8\n', 1, "[[", "a route has no 'prefix'"),
            ("routes = []\n", 1, "[]", "no routes"),
            ("name = 3\n", 1, "3", "name = 3 is not a string"),
            ("color = 3\n", 1, "3", "unknown key 'color'"),
            ("routes = [3]\n", 1, "routes", "3 is not a route"),
            ("", 1, "", "no routes"),
            ("a = " + "9" * 5000, 1, "a", "not a routing table"),
        ],
    )
    def test_an_error_names_line_and_column(self, file, text, line, at, said):
        with pytest.raises(TableError) as caught:
            table.parse(text, file)
        position = caught.value.position
        assert position.line == line
        assert "".join(text.splitlines()[line - 1 : line])[position.column - 1 :].startswith(at)
        message = str(caught.value)
        assert message.startswith(f"{file}, line {line}, column {position.column}: ")
        assert said in message
        assert "\n" not in message

    def test_what_is_not_text_is_pointed_at(self, file):
        file.write_bytes(b'name = "x"\n# caf\xe9\n')
        with pytest.raises(TableError, match=r"line 2, column 6: byte 0xe9 is not UTF-8"):
            table.load(file)

    def test_the_table_that_ships_is_valid(self):
        routes = table.load(arguments.DEFAULT_FILE).routes
        assert len(routes) > 100
        assert {route.prefix.version for route in routes} == {4, 6}


class TestVersion:
    @pytest.mark.parametrize(
        ("address", "dev"),
        [
            ("10.1.2.3", "d"),
            ("10.1.255.255", "d"),
            ("10.2.0.0", "a{b"),
            ("11.0.0.0", "up0"),
            ("2001:db8:7fff::1", "e"),
            ("2001:db8:8000::", None),
        ],
    )
    def test_the_longest_prefix_and_then_the_lowest_metric_wins(self, open_version, address, dev):
        version = open_version()
        route = version.route(version.lookup(ip_address(address).packed))
        assert (route.dev if route else None) == dev

    def test_look_ups_agree_with_a_search_of_the_whole_table(self, directory):
        whole = table.load(arguments.DEFAULT_FILE)
        version = Version(whole, directory, Ledger())
        chance = random.Random(1)
        for route in whole.routes:
            host = int(route.prefix.hostmask) & chance.getrandbits(128)
            address = route.prefix.network_address + host
            fitting = [other for other in whole.routes if address in other.prefix]
            best = max(fitting, key=lambda other: (other.prefix.prefixlen, -other.metric))
            assert version.route(version.lookup(address.packed)) == best
        version.close()

    def test_a_look_up_after_the_unmapping_is_an_error(self, open_version):
        version = open_version()
        version.close()
        with pytest.raises(ReadAfterUnmapError, match="version 1 "):
            version.lookup(bytes(4))

    def test_a_record_of_another_version_is_an_error(self, open_version):
        old, new = open_version(), open_version()
        old._map[:] = new._map[:]
        # Version 1 is all version 2 now, which is consistent; with its own header, it is not.
        header = bytes(new._map[:128])
        old._map[:128] = header[:8] + bytes([header[8] ^ 1]) + header[9:]
        with pytest.raises(TornReadError, match="version 1 "):
            old.lookup(bytes(4))

    def test_wiped_memory_is_an_error(self, open_version):
        version = open_version()
        version._map[:] = bytes(len(version._map))
        with pytest.raises(TornReadError):
            version.lookup(bytes(4))


class PausingAddress(bytes):
    """An address whose look-up does something before it reads the first octet."""

    def __iter__(self):
        self.on_look_up()
        return super().__iter__()


class TestProtection:
    def test_a_section_keeps_its_version_mapped(self, open_version):
        old, new = open_version(), open_version()
        published = threading.Event()

        class AnnouncingHolder(Holder):
            def __setattr__(self, name, value):
                super().__setattr__(name, value)
                if value is new:
                    published.set()

        holder, contender, tally = AnnouncingHolder(old), RcuContender(), Tally()
        updater = threading.Thread(target=contender.replace, args=(holder, new))

        def replace_meanwhile():
            updater.start()
            assert published.wait(PATIENCE)
            assert not old.closed

        address = PausingAddress(4)
        address.on_look_up = replace_meanwhile
        read(contender.section(), holder, [address], tally)
        updater.join(PATIENCE)
        assert old.closed
        assert (tally.reads, tally.after_unmap, tally.torn, tally.stale) == (1, 0, 0, 0)
        assert contender.grace_periods() == 1

    def test_without_a_grace_period_the_same_read_is_counted(self, open_version):
        old, new = open_version(), open_version()
        holder, contender, tally = Holder(old), NoGracePeriodContender(), Tally()
        address = PausingAddress(4)
        address.on_look_up = lambda: contender.replace(holder, new)
        read(contender.section(), holder, [address], tally)
        assert (tally.reads, tally.after_unmap) == (1, 1)
        contender.close_revoked()

    def test_a_version_older_than_the_one_before_is_counted(self, open_version):
        old, new = open_version(), open_version()
        holder, section, tally = Holder(new), LockContender().section(), Tally()
        read(section, holder, [bytes(4)], tally)
        holder.current = old
        read(section, holder, [bytes(4), bytes(4)], tally)
        assert (tally.reads, tally.stale) == (3, 2)


class TestTrial:
    @pytest.mark.parametrize("kind", [RcuContender, LockContender, ReaderWriterLockContender])
    def test_reads_while_reloading_are_all_right(self, file, directory, kind):
        trial = Trial(kind(), Source(file, directory), Settings(2, 200, PATIENCE), directory, on_error=pytest.fail)

        def enough(trial):
            sofar = trial.outcome()
            return sofar.reads > 1000 and sofar.reloads > 3

        outcome = trial.run(PATIENCE, enough)
        assert outcome.reads > 1000
        assert outcome.reloads > 3
        assert outcome.violations == 0
        assert outcome.live == 0
        assert 2 <= outcome.live_at_most <= 3
        assert outcome.times.percentile(0.5) <= outcome.times.percentile(0.99) <= outcome.times.longest
        if kind is RcuContender:
            assert outcome.grace_periods >= outcome.reloads

    @pytest.mark.parametrize(("text", "place"), [(NO_COMMA, "line 4, column 27"), (BAD_PREFIX, "line 4, column 14")])
    def test_a_file_that_becomes_malformed_leaves_the_last_good_version(self, file, directory, text, place):
        source = Source(file, directory)
        errors = []
        steps = []

        def on_tick(trial):
            sofar = trial.outcome()
            if not steps:
                save(file, text)
                steps.append("broken")
            elif steps == ["broken"] and errors:
                steps.append(sofar)
            elif len(steps) == 2 and sofar.reads > steps[1].reads and sofar.reloads > steps[1].reloads:
                # Still read, and still reloaded from the demo's own copy. Now the user repairs the file.
                save(file, GOOD.replace("small", "repaired"))
                steps.append("repaired")
            return len(steps) == 3 and source.table.name == "repaired"

        trial = Trial(RcuContender(), source, Settings(2, 100, PATIENCE), directory, errors.append)
        outcome = trial.run(PATIENCE, on_tick)
        assert steps[-1] == "repaired"
        assert source.table.name == "repaired"
        (error,) = errors
        assert f"{file}, {place}: " in str(error)
        assert "still serving the last good version" in str(error)
        assert outcome.violations == 0

    def test_an_error_in_a_thread_ends_the_run_and_is_raised(self, file, directory):
        class Broken(LockContender):
            def replace(self, _holder, new):
                new.close()
                raise ZeroDivisionError

        source = Source(file, directory)
        trial = Trial(Broken(), source, Settings(1, 100, PATIENCE), directory, pytest.fail)
        with pytest.raises(ZeroDivisionError):
            trial.run(PATIENCE, lambda _: None)
        assert [path.name for path in directory.iterdir()] == ["routes.toml"]


class TestSource:
    def test_the_users_file_is_picked_up_and_never_written(self, file, directory):
        source = Source(file, directory)
        assert source.poll() is None
        source.edit()
        assert source.poll().text != GOOD
        assert file.read_text() == GOOD
        file.write_text(GOOD.replace("small", "smaller"))
        assert source.poll().name == "smaller"
        assert source.poll() is None

    def test_a_removed_file_is_reported_once(self, file, directory):
        source = Source(file, directory)
        file.unlink()
        with pytest.raises(TableError, match="still serving the last good version"):
            source.poll()
        assert source.poll() is None
        source.edit()
        assert source.poll().name == "small"


class TestReadTimes:
    def test_percentiles_are_exact_to_one_part_in_sixteen(self):
        times = ReadTimes()
        durations = sorted(int(1.01**n) for n in range(2000))
        for duration in durations:
            times.add(duration)
        for share in (0.1, 0.5, 0.9, 0.99):
            exact = durations[int(share * 2000) - 1]
            assert exact <= times.percentile(share) <= exact * 17 / 16 + 1
        assert times.percentile(1.0) == times.longest == durations[-1]

    def test_the_longest_is_kept_however_long(self):
        times = ReadTimes()
        times.add(2**70)
        assert times.percentile(1.0) == times.longest == 2**70

    def test_no_reads_no_time(self):
        assert ReadTimes.merged([ReadTimes(), ReadTimes()]).percentile(0.5) == 0


class TestCommand:
    def test_json_is_all_there_is_on_standard_output(self, file, capsys):
        assert main([str(file), "--seconds=0.6", "--readers=1", "--json"], PROG) == 0
        out, err = capsys.readouterr()
        result = json.loads(out)
        assert err == ""
        assert result["file"] == str(file)
        assert result["routes"] == 5
        assert result["violations"] == 0
        assert result["reload_errors"] == []
        assert result["settings"] == {"readers": 1, "rate": 50, "seconds": 0.6, "grace_period": True}
        assert [c["name"] for c in result["contenders"]] == ["rcu.Domain", "threading.Lock", "RWLockFair"]
        for contender in result["contenders"]:
            assert contender["reads"] > 0
            assert set(contender["read_ns"]) == {"p50", "p99", "max"}
            assert contender["versions_live_at_end"] == 0
            assert (contender["stale"], contender["torn"], contender["after_unmap"]) == (0, 0, 0)

    def test_without_a_terminal_there_are_lines_and_a_table(self, capsys):
        assert main(["--seconds=0.3", "--rate=0"], PROG) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("three-room site: ")
        assert [line.split(":")[0] for line in lines[1:4]] == ["rcu.Domain", "threading.Lock", "RWLockFair"]
        assert lines[5].split() == ["rcu.Domain", "threading.Lock", "RWLockFair"]
        assert lines[-1].split() == ["reads", "after", "unmap", "0", "0", "0"]

    def test_a_terminal_shows_progress(self, monkeypatch):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        assert main(["--seconds=0.4"], PROG) == 0
        shown = sys.stdout.getvalue()
        assert "\x1b[" in shown
        assert shown.count("reads after unmap") > 1

    @pytest.mark.parametrize(
        ("text", "place"),
        [(NO_COMMA, ", line 4, column 27: "), (BAD_PREFIX, ", line 4, column 14: "), (None, ": ")],
    )
    def test_a_bad_file_is_a_line_and_exit_code_2(self, file, capsys, text, place):
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        assert main([str(file)], PROG) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"{PROG}: error: {file}{place}")
        assert err.count("\n") == 1

    @pytest.mark.parametrize(
        "option",
        ["--seconds=0", "--seconds=nan", "--readers=0", "--rate=-1", "--plot=x.png", "--plot=a/b.svg", "--x"],
    )
    def test_a_bad_option_is_a_line_and_exit_code_2(self, capsys, option):
        assert main([option], PROG) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert option.split("=")[0] in err

    @pytest.mark.parametrize(
        ("package", "extra"), [("rich", "demo"), ("readerwriterlock", "demo"), ("matplotlib", "plot")]
    )
    def test_a_missing_package_is_named(self, monkeypatch, tmp_path, capsys, package, extra):
        monkeypatch.setitem(sys.modules, package, None)
        assert main([f"--plot={tmp_path / 'out.svg'}"], PROG) == 2
        assert capsys.readouterr().err == (
            f"{PROG}: error: the package {package!r} is not installed; pip install 'rcu[{extra}]'\n"
        )

    def test_plot(self, tmp_path, capsys):
        picture = tmp_path / "out.svg"
        code = main(["--seconds=0.3", f"--plot={picture}"], PROG)
        if importlib.util.find_spec("matplotlib"):
            assert code == 0
            assert "<svg" in picture.read_text()
        else:
            assert code == 2
            assert capsys.readouterr().err.endswith(
                "the package 'matplotlib' is not installed; pip install 'rcu[plot]'\n"
            )

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send these to one process")
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    @pytest.mark.usefixtures("signals")
    def test_a_signal_ends_it_and_leaves_no_files(self, directory, number, code):
        program = f"import sys; from rcu.demo import main; sys.exit(main([], {PROG!r}))"
        with subprocess.Popen(
            [sys.executable, "-P", "-c", program],
            env=os.environ | {"TMPDIR": str(directory)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout.readline().startswith("three-room site: ")
            process.send_signal(number)
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code
        assert "Traceback" not in err
        assert list(directory.iterdir()) == []
