"""rcu.metrics: what a scrape says is what stats() does, for the domains of the moment."""

import dataclasses
import gc
import itertools
import os
import sys
import sysconfig
import threading
import weakref
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import rcu
from processes import FORKS
from rcu._domain import live_domains
from rcu.metrics import RcuCollector
from threads import Holder, beside, eventually, together

IMMORTAL = bool(sysconfig.get_config_var("Py_GIL_DISABLED")) and sys.version_info < (3, 14)
FORMATS = {
    "text": (exposition.generate_latest, parse_text),
    "openmetrics": (openmetrics.generate_latest, parse_openmetrics),
}

# Each metric and the field that it shows.
COUNTERS = {
    "rcu_grace_periods_total": "grace_periods",
    "rcu_shared_waits_total": "shared_waits",
    "rcu_heavy_barriers_total": "heavy_barriers",
    "rcu_barriers_skipped_total": "barriers_skipped",
    "rcu_callbacks_run_total": "callbacks_run",
    "rcu_callbacks_failed_total": "callbacks_failed",
    "rcu_stalls_total": "stalls",
}
GAUGES = {
    "rcu_threads": "threads",
    "rcu_parked_threads": "parked_threads",
    "rcu_sections_active": "sections_active",
    "rcu_pending_callbacks": "pending",
    "rcu_peak_pending_callbacks": "peak_pending",
    "rcu_oldest_pending_age_seconds": "oldest_pending_age",
    "rcu_last_grace_period_seconds": "last_grace_period",
    "rcu_longest_grace_period_seconds": "longest_grace_period",
}
GARBAGE = {
    "rcu_garbage_objects": "number",
    "rcu_garbage_bytes": "nbytes",
    "rcu_garbage_oldest_age_seconds": "oldest_age",
    "rcu_garbage_collections_total": "collections",
}


def registry_of(*collectors):
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return registry


def scrape(registry, which="text"):
    """What a server would get, read again: values by name and domain."""
    generate, parse = FORMATS[which]
    samples = [sample for family in parse(generate(registry).decode()) for sample in family.samples]
    found = {(sample.name, sample.labels.get("domain")): sample.value for sample in samples}
    assert len(found) == len(samples), "a series twice"
    return found


def labels(registry):
    return [label for name, label in scrape(registry) if name == "rcu_threads"]


def collect_garbage():
    for _ in range(3):
        gc.collect()


@pytest.fixture
def base():
    """A name that no other test's domain has."""
    return f"base-{next(NUMBERS)}"


NUMBERS = itertools.count()


class TestExposition:
    @pytest.mark.parametrize("which", FORMATS)
    def test_it_is_what_stats_says(self, domain, unraisable, which):
        domain.call(lambda: 1 / 0)
        domain.barrier()
        assert len(unraisable) == 1
        domain.synchronize()
        registry = registry_of(RcuCollector([domain]))
        with Holder(domain):
            domain.start_poll()
            with pytest.raises(TimeoutError):
                domain.synchronize(timeout=0)
            stats = domain.stats()
            found = scrape(registry, which)
            assert domain.stats() == stats, "the domain is at rest"
        assert (stats.callbacks_failed, stats.sections_active) == (1, 1)
        assert stats.longest_grace_period > 0
        for name, field in (COUNTERS | GAUGES).items():
            assert found.pop((name, domain.name)) == getattr(stats, field), name
        assert {name for name, _ in found} == set(GARBAGE)

    def test_each_field_has_a_metric(self):
        assert sorted((COUNTERS | GAUGES).values()) == sorted(
            field.name for field in dataclasses.fields(rcu.DomainStats)
        )
        assert sorted(GARBAGE.values()) == sorted(field.name for field in dataclasses.fields(rcu.GarbageStats))

    @pytest.mark.parametrize("which", FORMATS)
    def test_types_units_and_words(self, domain, which):
        generate, parse = FORMATS[which]
        families = list(parse(generate(registry_of(RcuCollector([domain]))).decode()))
        assert len(families) == len(COUNTERS | GAUGES | GARBAGE)
        for family in families:
            (sample,) = family.samples
            is_counter = sample.name in COUNTERS or sample.name == "rcu_garbage_collections_total"
            assert family.type == ("counter" if is_counter else "gauge"), sample.name
            assert family.documentation.endswith(".")
            if which == "openmetrics" and sample.name.endswith(("_seconds", "_bytes")):
                assert sample.name.endswith("_" + family.unit)

    def test_garbage_is_exposed(self, domain):
        registry = registry_of(RcuCollector([domain]))
        collect_garbage()
        for name, field in GARBAGE.items():
            if field != "oldest_age":
                assert scrape(registry)[name, None] == getattr(rcu.garbage_stats(), field)

    def test_a_callback_that_waits_grows_older(self, domain):
        registry = registry_of(RcuCollector([domain]))
        with Holder(domain):
            domain.retire(object())
            first = scrape(registry)
            eventually(lambda: scrape(registry)["rcu_oldest_pending_age_seconds", domain.name] > 0.001)
            assert first["rcu_pending_callbacks", domain.name] == 1
        domain.barrier()
        assert scrape(registry)["rcu_oldest_pending_age_seconds", domain.name] == 0

    def test_a_scrape_reports_a_stall(self, domain, records):
        registry = registry_of(RcuCollector([domain]))
        domain.stall_timeout = 1e-6
        with Holder(domain):
            with pytest.raises(TimeoutError):
                domain.synchronize(timeout=0)
            del records[:]
            before = domain.stats().stalls
            eventually(lambda: scrape(registry)["rcu_stalls_total", domain.name] > before)
        assert [record.rcu_domain for record in records] == [domain.name] * len(records) != []

    def test_counters_never_go_down_while_threads_read_and_update(self, domain):
        registry = registry_of(RcuCollector([domain]))
        stop = threading.Event()
        scrapes = []

        def read():
            while not stop.is_set():
                with domain:
                    pass

        def update():
            while not stop.is_set():
                domain.retire([])
                domain.synchronize()

        def watch():
            for _ in range(100):
                scrapes.append(scrape(registry))
            eventually(lambda: domain.stats().callbacks_run > 0)
            scrapes.append(scrape(registry))

        with beside(read), beside(update), beside(update):
            try:
                watch()
            finally:
                stop.set()
        domain.barrier()
        scrapes.append(scrape(registry))
        for name in COUNTERS:
            values = [found[name, domain.name] for found in scrapes]
            assert values == sorted(values), name
        for name in "rcu_grace_periods_total", "rcu_callbacks_run_total":
            assert scrapes[0][name, domain.name] < scrapes[-1][name, domain.name]


class TestDomains:
    def test_all_that_there_are_then(self, base):
        registry = registry_of(RcuCollector())
        assert labels(registry)[0] == "default"
        domain = rcu.Domain(base)
        assert base in labels(registry)
        gone = weakref.ref(domain)
        del domain
        collect_garbage()
        assert (gone() is None) is not IMMORTAL
        assert (base in labels(registry)) is IMMORTAL

    def test_the_oldest_first(self):
        domains = [rcu.Domain() for _ in range(20)]
        found = live_domains()
        assert [domain for domain in found if domain in domains] == domains
        assert found[0] is rcu.default_domain
        assert len(set(found)) == len(found)

    @pytest.mark.skipif(IMMORTAL, reason="there domains are never freed")
    def test_chosen_ones_and_no_others_are_not_kept(self, base):
        domains = [rcu.Domain(f"{base}-{i}") for i in range(3)]
        registry = registry_of(RcuCollector(iter([domains[2], domains[0], domains[2]])))
        assert labels(registry) == [f"{base}-2", f"{base}-0"]
        del domains[2]
        collect_garbage()
        assert labels(registry) == [f"{base}-0"]
        del domains[:]
        collect_garbage()
        assert labels(registry) == []
        assert {name for name, _ in scrape(registry)} == set(GARBAGE)

    def test_domains_come_and_go_beside_scrapes(self, base):
        registry = registry_of(RcuCollector())
        made, seen = [], set()
        done = threading.Event()

        def make():
            for i in range(300):
                domain = rcu.Domain(f"{base}-{i % 7}")
                made.append(domain.name)
                with domain:
                    pass
                if i % 50 == 0:
                    gc.collect()

        def look():
            while not done.is_set():
                found = labels(registry)
                assert found[0] == "default"
                assert len(set(found)) == len(found)
                seen.update(label for label in found if label.startswith(base))

        with beside(look), beside(look):
            try:
                together(make, make)
                eventually(lambda: seen)
            finally:
                done.set()
        assert len(made) == 600
        collect_garbage()
        if not IMMORTAL:
            assert not [label for label in labels(registry) if label.startswith(base)]


class TestLabels:
    @pytest.mark.parametrize("which", FORMATS)
    @pytest.mark.parametrize(
        ("name", "label"),
        [
            ('quo"te', None),
            ("back\\slash", None),
            ("\\", None),
            ("new\nline", None),
            ("\r\t\0", None),
            ("", None),
            ("{a=\"b\"} 1 # #", None),
            ("ünï-\U0001f40d", None),
            ("\ud800half", "\\ud800half"),
        ],
    )  # fmt: skip
    def test_names_of_any_characters(self, which, name, label):
        domain = rcu.Domain(name)
        registry = registry_of(RcuCollector([domain]))
        assert scrape(registry, which)["rcu_threads", name if label is None else label] == 0
        del domain

    def test_namesakes(self, base):
        first, second, third = (rcu.Domain(base) for _ in range(3))
        registry = registry_of(RcuCollector([third, first, second]))
        assert labels(registry) == [base, f"{base} (2)", f"{base} (3)"]
        everything = registry_of(RcuCollector())
        second.synchronize()
        assert [scrape(everything)["rcu_grace_periods_total", f"{base}{n}"] for n in ("", " (2)", " (3)")] == [0, 1, 0]

    @pytest.mark.skipif(IMMORTAL, reason="there domains are never freed")
    def test_a_label_is_kept_for_life_and_then_free(self, base):
        first, second = rcu.Domain(base), rcu.Domain(base)
        registry = registry_of(RcuCollector())
        second.synchronize()
        assert scrape(registry)["rcu_grace_periods_total", f"{base} (2)"] == 1
        del first
        collect_garbage()
        third = rcu.Domain(base)
        found = scrape(registry)
        assert found["rcu_grace_periods_total", f"{base} (2)"] == 1
        assert found["rcu_grace_periods_total", base] == 0
        assert ("rcu_threads", f"{base} (3)") not in found
        assert third.name == second.name == base

    def test_a_name_that_looks_like_a_label(self, base):
        domains = [
            rcu.Domain(name) for name in (base, f"{base} (2)", base, f"{base} (2)", "\ud801" + base, "\\ud801" + base)
        ]
        assert labels(registry_of(RcuCollector(domains))) == [
            base,
            f"{base} (2)",
            f"{base} (3)",
            f"{base} (2) (2)",
            f"\\ud801{base}",
            f"\\ud801{base} (2)",
        ]


class TestRegistering:
    def test_twice_is_refused(self):
        collector = RcuCollector()
        registry = registry_of(collector)
        for again in collector, RcuCollector([]):
            with pytest.raises(ValueError, match="rcu_grace_periods"):
                registry.register(again)
        assert labels(registry)[0] == "default"
        registry.unregister(collector)
        registry.register(RcuCollector())

    def test_of_two_namespaces(self, domain):
        collectors = RcuCollector([domain]), RcuCollector([domain], namespace="my:app_2")
        found = scrape(registry_of(*collectors))
        assert found["rcu_threads", domain.name] == found["my:app_2_threads", domain.name] == 0

    def test_one_in_two_registries(self, domain):
        collector = RcuCollector([domain])
        assert labels(registry_of(collector)) == labels(registry_of(collector)) == [domain.name]

    def test_does_not_collect(self, domain, records):
        domain.stall_timeout = 1e-6
        with Holder(domain):
            with pytest.raises(TimeoutError):
                domain.synchronize(timeout=0)
            del records[:]
            registry = registry_of(RcuCollector([domain]))
            assert records == []
            eventually(lambda: scrape(registry) and records)

    def test_what_is_described_is_what_is_collected(self, domain):
        collector = RcuCollector([domain])
        described, collected = collector.describe(), collector.collect()
        assert [(each.name, each.type, each.unit) for each in described] == [
            (each.name, each.type, each.unit) for each in collected
        ]
        assert not any(each.samples for each in described)
        assert all(each.samples for each in collected)

    def test_some_of_it(self, domain):
        registry = registry_of(RcuCollector([domain])).restricted_registry(["rcu_threads"])
        assert set(scrape(registry)) == {("rcu_threads", domain.name)}

    @pytest.mark.parametrize(
        ("domains", "options", "error", "words"),
        [
            (5, {}, TypeError, "domains must be an iterable of rcu.Domain, or None for all, not 5"),
            (rcu.default_domain, {}, TypeError, "iterable .* not <rcu.Domain 'default'>"),
            ("default", {}, TypeError, "domains must hold instances of rcu.Domain, not str 'd'"),
            ([rcu.default_domain, None], {}, TypeError, "rcu.Domain, not NoneType None"),
            (None, {"namespace": 5}, TypeError, "namespace must be a string, not int 5"),
            (None, {"namespace": "my app"}, ValueError, "namespace .*'my app'"),
            (None, {"namespace": "2nd"}, ValueError, "namespace .*'2nd'"),
            (None, {"namespace": ""}, ValueError, "namespace .*''"),
            (None, {"namespace": "rcu\n"}, ValueError, "namespace"),
        ],
    )  # fmt: skip
    def test_misuse(self, domains, options, error, words):
        with pytest.raises(error, match=words):
            RcuCollector(domains, **options)


class TestImport:
    def test_rcu_does_not_import_it(self, script):
        script("import rcu, sys; assert 'prometheus_client' not in sys.modules and 'rcu.metrics' not in sys.modules")

    @pytest.mark.parametrize("how", ["sys.modules['prometheus_client'] = None", "sys.path = [*map(str, lean)]"])
    def test_without_it_is_an_error_with_the_way_out(self, script, tmp_path, how):
        (tmp_path / "rcu").symlink_to(Path(rcu.__file__).parent)
        said = script(f"""
import sys
lean = [{str(tmp_path)!r}] + [path for path in sys.path if "site-packages" not in path]
{how}
try:
    import rcu.metrics
except ImportError as error:
    print(error.name, error)
""")
        assert said.startswith("prometheus_client rcu.metrics needs the package 'prometheus_client'")
        assert "pip install 'rcu[metrics]'" in said

    def test_one_that_lacks_something_itself_says_so(self, script):
        said = script("""
import sys
sys.modules["prometheus_client.metrics_core"] = None
try:
    import rcu.metrics
except ModuleNotFoundError as error:
    print(error.name)
""")
        assert said.strip() == "prometheus_client.metrics_core"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_scrapes_though_the_parent_was_about_to(script):
    """The thread that held the lock of the labels is not in the child."""
    assert (
        script(
            FORKS
            + """
import rcu, rcu.metrics
domain = rcu.Domain("kept")
collector = rcu.metrics.RcuCollector([domain])

def look():
    with domain:
        found = {family.name: family.samples for family in collector.collect()}
    (sample,) = found["rcu_threads"]
    assert (sample.labels, sample.value) == ({"domain": "kept"}, 1), sample

with rcu.metrics._lock:
    pid = start_child(look)
joined(pid)
look()
print("done")
"""
        )
        == "done\n"
    )
