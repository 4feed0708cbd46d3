"""A Hugging Face hub on this machine, as far as the library `datasets` asks one; it can fail."""

import contextlib
import hashlib
import http.server
import json
import re
import threading
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.BaseHTTPRequestHandler):
    """A set, {path: bytes}, and what becomes of its Parquet files: `fault`."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urllib.parse.unquote(self.path.partition("?")[0])
        self.server.asked.append((self.command, path))
        if found := re.fullmatch(r"/api/datasets/[^/]+/[^/]+/tree/[^/]+/?(.*)", path):
            self.reply(json.dumps(self.tree(found[1])).encode())
        elif re.fullmatch(r"/api/datasets/[^/]+/[^/]+(/revision/.+)?", path):
            self.reply(json.dumps(self.about()).encode())
        elif found := re.fullmatch(r"/datasets/[^/]+/[^/]+/resolve/[^/]+/(.*)", path):
            self.give(found[1])
        else:
            self.reply(b"{}", 404)

    def about(self):
        """Return what the hub says of the set."""
        files = [{"rfilename": path, "size": len(x)} for path, x in self.server.files.items()]
        known = {"id": "me/set", "sha": COMMIT, "private": False, "disabled": False, "tags": []}
        known |= {"gated": False, "downloads": 0, "likes": 0}
        return known | {"siblings": files, "author": "me", "_id": "0" * 24}

    def tree(self, folder):
        """Return the files and folders in a folder."""
        found = {}
        for path, content in self.server.files.items():
            if folder in ("", *(path[:i] for i, letter in enumerate(path) if letter == "/")):
                rest = path[len(folder) :].lstrip("/")
                name, deeper, _ = rest.partition("/")
                place = f"{folder}/{name}".lstrip("/")
                kind, size = ("directory", 0) if deeper else ("file", len(content))
                found[place] = {"type": kind, "oid": "0" * 40, "size": size, "path": place}
        return list(found.values())

    def give(self, path):
        """Answer with a file, or fail at it."""
        content, fault = self.server.files.get(path), self.server.fault
        if content is None:
            self.reply(b"", 404, {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        data = path.endswith(".parquet")
        if data and fault == "damaged":
            content = content[:40] + bytes(len(content) - 40)
        if data and isinstance(fault, int):
            self.reply(b"{}", fault)
        elif data and fault == "short" and self.command == "GET":
            self.reply(content[:40], 200, headers)
        else:
            self.reply(content, 200, headers)

    def reply(self, content, status=200, headers=()):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(files, fault=None):
    """Serve a set; the server's `asked` are the requests, `url` its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.files, server.fault, server.asked = files, fault, []
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
