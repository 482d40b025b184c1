"""Executes the notebooks beside it in place and keeps what they show, without times and versions.

    .venv/bin/python notebooks/execute.py           # all, or:
    .venv/bin/python notebooks/execute.py 01 03     # those whose names begin so

`jupyter execute --inplace` would keep when each cell ran and the version of Python, which differ every time.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent

for path in sorted(FOLDER.glob("*.ipynb")):
    if path.name.startswith(tuple(sys.argv[1:] or [""])):
        print(f"{path.name} …", flush=True)
        notebook = nbformat.read(path, as_version=4)
        where = {"metadata": {"path": FOLDER}}
        NotebookClient(notebook, record_timing=False, coalesce_streams=True, resources=where).execute()
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, path)
