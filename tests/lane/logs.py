"""Records for following tests: short, countable, each with a number of its own as the user."""

from __future__ import annotations

from pathlib import Path

XML_HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n<AUDIT>\n'
FOOTER = "</AUDIT>\n"


def json_row(number: int) -> str:
    return (
        f'{{"audit_record":{{"name":"Connect","record":"{number + 1}_2026-11-23T10:00:00",'
        f'"timestamp":"2026-11-23T10:00:{number % 60:02}Z","connection_id":"{number}",'
        f'"status":0,"user":"u{number}","priv_user":"","os_login":"","proxy_user":"",'
        f'"host":"web1","ip":"10.0.0.1","db":""}}}}\n'
    )


def xml_row(number: int) -> str:
    return (
        f'<AUDIT_RECORD\n  NAME="Connect"\n  RECORD="{number + 1}_2026-11-23T10:00:00"\n'
        f'  TIMESTAMP="2026-11-23T10:00:{number % 60:02}Z"\n  CONNECTION_ID="{number}"\n'
        f'  STATUS="0"\n  USER="u{number}"\n  PRIV_USER=""\n  OS_LOGIN=""\n  PROXY_USER=""\n'
        f'  HOST="web1"\n  IP=""\n  DB=""\n/>\n'
    )


def mariadb_row(number: int) -> str:
    return f"20261123 10:00:{number % 60:02},db1,u{number},web1,{number},0,CONNECT,,,0\n"


ROWS = {"json": json_row, "xml": xml_row, "mariadb": mariadb_row}


# What a fixture closes after each test.
OPENED: list[Log] = []


class Log:
    """A server that writes records and does with its file what servers do."""

    def __init__(self, path: Path, form: str = "json") -> None:
        self.path = path
        self.row = ROWS[form]
        self.header = XML_HEADER if form == "xml" else ""
        self.footer = FOOTER if form == "xml" else ""
        self.number = 0
        self._file = path.open("ab")
        OPENED.append(self)
        self._put(self.header)

    def _put(self, text: str) -> None:
        self._file.write(text.encode())
        self._file.flush()

    def write(self, count: int = 1) -> None:
        self._put("".join(self.row(self.number + each) for each in range(count)))
        self.number += count

    def write_part(self, share: float = 0.5) -> str:
        """Write the beginning of a record; give the rest."""
        text = self.row(self.number)
        self.number += 1
        cut = int(len(text) * share)
        self._put(text[:cut])
        return text[cut:]

    def write_text(self, text: str) -> None:
        self._put(text)

    def close(self) -> None:
        self._file.close()

    def reopen(self) -> None:
        self.close()
        self._file = self.path.open("ab")

    def flush(self) -> None:
        """Percona: footer, close, open the same name again, header."""
        self._put(self.footer)
        self.reopen()
        self._put(self.header)

    def rotate_by_size(self, keep: int = 3) -> None:
        """Percona and MariaDB: shift .1 to .2 …; no footer, no header."""
        for number in range(keep, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            name = f"{self.path.name}.{number - 1}" if number > 1 else self.path.name
            newer = self.path.with_name(name)
            if newer.exists():
                newer.replace(older)
        self.reopen()

    def rename_and_flush(self, name: str) -> None:
        self.path.rename(self.path.with_name(name))
        self.flush()

    def copy(self, name: str) -> None:
        self.path.with_name(name).write_bytes(self.path.read_bytes())

    def copy_truncate(self, name: str) -> None:
        """Logrotate's copytruncate; the server writes on through its descriptor."""
        self.copy(name)
        self.truncate()

    def truncate(self) -> None:
        with self.path.open("r+b") as file:
            file.truncate(0)

    def users(self) -> list[str]:
        return [f"u{number}" for number in range(self.number)]
