"""The routing table: what a TOML file says, checked."""

import ipaddress
import tomllib
from dataclasses import dataclass
from pathlib import Path

from rcu.demo import positions
from rcu.demo.positions import Position

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network
type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_ROUTES = 5_000
HIGHEST_METRIC = 2**32 - 1
ROUTE_KEYS = {"prefix", "via", "dev", "metric"}


class TableError(Exception):
    """A routing table cannot be read; says where and why in one line."""

    def __init__(self, path: Path, reason: str, position: Position | None = None) -> None:
        place = f", line {position.line}, column {position.column}" if position else ""
        super().__init__(f"{path}{place}: {reason}")
        self.path = path
        self.reason = reason
        self.position = position


@dataclass(frozen=True, slots=True)
class Route:
    """Packets for *prefix* leave by *dev*: to the router *via* or, without one, to their destination."""

    prefix: Network
    via: Address | None
    dev: str
    metric: int

    def __str__(self) -> str:
        return f"{self.prefix}{f' via {self.via}' if self.via else ''} dev {self.dev} metric {self.metric}"


@dataclass(frozen=True, slots=True)
class Table:
    """All routes of a file, in its order, and the text that they came from."""

    name: str
    routes: tuple[Route, ...]
    text: str


class _Fault(Exception):
    """A value makes no sense; *key* is the one to point at."""

    def __init__(self, reason: str, key: str | None = None) -> None:
        super().__init__(reason)
        self.key = key


def load(path: Path) -> Table:
    """Read and check the table in *path*; :exc:`TableError` names what is wrong with it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); give the path of a readable routing table in TOML"
        raise TableError(path, reason) from None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        reason = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise TableError(path, reason, positions.of_offset(before, len(before))) from None
    return parse(text.replace("\r\n", "\n"), path)


def parse(text: str, path: Path) -> Table:
    """Check the table in *text*; *path* is for the error message."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position, reason = positions.of_syntax_error(error, text)
        raise TableError(path, f"not TOML: {reason}", position) from None
    except (ValueError, RecursionError) as error:
        # A number of too many digits, or brackets in too many brackets; tomllib does not say where.
        raise TableError(path, f"not a routing table: {error}", positions.START) from None
    try:
        name, rows = _check_document(document)
    except _Fault as fault:
        position = positions.of_key(text, fault.key) if fault.key else positions.START
        raise TableError(path, str(fault), position) from None
    routes = []
    for index, row in enumerate(rows):
        try:
            routes.append(_check_route(row))
        except _Fault as fault:
            raise TableError(path, str(fault), positions.of_route(text, index, fault.key)) from None
    return Table(name, tuple(routes), text)


def _check_document(document: dict[str, object]) -> tuple[str, list[object]]:
    for key in document.keys() - {"name", "routes"}:
        raise _Fault(f"unknown key {key!r}; a table has 'name' and 'routes'", key)
    name = document.get("name", "routes")
    if not isinstance(name, str):
        raise _Fault(f"name = {name!r} is not a string; write it in quotes", "name")
    rows = document.get("routes")
    if not isinstance(rows, list) or not rows:
        raise _Fault("no routes; list at least one, as routes = [{ prefix = ..., dev = ... }]", "routes")
    if len(rows) > MOST_ROUTES:
        raise _Fault(f"{len(rows)} routes are more than the demo takes; keep at most {MOST_ROUTES}", "routes")
    return name, rows


def _check_route(row: object) -> Route:
    if not isinstance(row, dict):
        raise _Fault(f"{row!r} is not a route; write {{ prefix = ..., dev = ... }}", None)
    for key in row.keys() - ROUTE_KEYS:
        raise _Fault(f"unknown key {key!r}; a route has 'prefix', 'via', 'dev' and 'metric'", key)
    for key in ("prefix", "dev"):
        if key not in row:
            raise _Fault(f"a route has no {key!r}; add it")
    metric = row.get("metric", 0)
    # bool is a kind of int, but `metric = true` is a slip.
    if type(metric) is not int or not 0 <= metric <= HIGHEST_METRIC:
        raise _Fault(f"metric {metric!r} is not a whole number from 0 to {HIGHEST_METRIC}", "metric")
    dev = row["dev"]
    if not isinstance(dev, str) or not dev:
        raise _Fault(f"dev {dev!r} is not the name of an interface; write it in quotes", "dev")
    return Route(_check_prefix(row["prefix"]), _check_via(row.get("via")), dev, metric)


def _check_prefix(value: object) -> Network:
    advice = "write an address and a length, such as 192.0.2.0/24 or 2001:db8::/32"
    if not isinstance(value, str):
        raise _Fault(f"prefix {value!r} is not a string; {advice}", "prefix")
    try:
        return ipaddress.ip_network(value)
    except ValueError as error:
        if "host bits" in str(error):
            advice = f"did you mean {ipaddress.ip_network(value, strict=False)}?"
            raise _Fault(f"prefix {value!r} has bits set beyond its length; {advice}", "prefix") from None
        raise _Fault(f"prefix {value!r} is not a network; {advice}", "prefix") from None


def _check_via(value: object) -> Address | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return ipaddress.ip_address(value)
    except ValueError:
        pass
    raise _Fault(f"via {value!r} is not an address; write one such as 192.0.2.1, or leave it out", "via")
