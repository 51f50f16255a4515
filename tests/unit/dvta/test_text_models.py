"""Where a text model is: a folder, the hub's cache, the hub, or nowhere, and how soon that is known."""

import http.server
import socket
import subprocess
import sys
import threading
import time

import pytest
from huggingface_hub import constants

from dvta.errors import DataError
from dvta.text_models import hub_problem, is_cached, locate_model, require_model


def cache(folder, name, *files):
    """Lay files of a model into a folder as the hub's client does."""
    repository = folder / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("abc")
    for file in files:
        path = repository / "snapshots/abc" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def test_a_folder_and_a_cached_model_need_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert locate_model(str(tmp_path)).place == "folder"
    cache(tmp_path, "sentence-transformers/whole", "config.json", "model.safetensors")
    cache(tmp_path, "half/loaded", "config.json")
    assert require_model("sentence-transformers/whole").place == "cache"
    assert require_model("whole").place == "cache"
    assert not is_cached("half/loaded")
    assert locate_model("half/loaded").place == "nowhere"


@pytest.mark.parametrize("name", ["/no/such/folder", "./model", "a/b/c", "C:\\model"])
def test_a_folder_that_is_not_there_is_said_without_asking_the_hub(name, monkeypatch):
    monkeypatch.setattr("dvta.text_models.hub_problem", lambda seconds: pytest.fail("asked"))
    assert locate_model(name).reason == "no such folder"


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    return lambda endpoint: monkeypatch.setattr(constants, "ENDPOINT", endpoint)


def test_a_hub_that_answers_anything_is_in_reach(online):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        online(f"http://127.0.0.1:{server.server_port}")
        assert hub_problem(10) == ""
        assert locate_model("nobody/nothing", 10).place == "hub"
        server.shutdown()


def test_a_hub_that_is_silent_or_absent_is_out_of_reach_in_a_second(online):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        online(address)
        began = time.monotonic()
        assert "is out of reach" in hub_problem(0.5)
        assert time.monotonic() - began < 5
    # nobody listens there any more
    with pytest.raises(DataError, match=f"not on this machine, and {address} is out of reach") as caught:
        require_model("nobody/nothing")
    assert "--model" in str(caught.value)


def test_looking_for_a_model_imports_no_model_library():
    code = (
        "import sys, dvta.text_models as t; t.locate_model('nobody/nothing')\n"
        "print(*(m for m in ('torch', 'transformers', 'sentence_transformers') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
