"""The part of Kaggle's API that submitting needs, as a real HTTP server on loopback.

The wire format is that of kaggle 2.2.4: POST /api/v1/SERVICE/METHOD with JSON, and a PUT to the
address that StartSubmissionUpload gave. The client reaches any port of ours through HTTP_PROXY, so
request targets are whole URLs. The server counts the requests and keeps what it was given.
"""

import io
import json
import threading
import zipfile
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

TOKEN = "KGAT_0123456789abcdef"
SLUG = "voc-detection"


class KaggleServer(ThreadingHTTPServer):
    """A server for use in a `with`.

    `faults[METHOD]` lists what it answers instead of the truth, one for each request: a status;
    "drop" for the connection; "silent" for no answer ever; "page" for a status of 200 with HTML; or
    ("lost", any of these), which is given after the work was done.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.requests, self.uploads, self.submissions = {}, Counter(), {}, []
        self.competition = {"id": 1, "ref": SLUG, "title": "VOC detection"}
        self.competition |= {"deadline": "2099-01-01T00:00:00Z"}
        self.competition |= {"userHasEntered": True, "maxDailySubmissions": 5}
        self.daily, self.pending_polls = 5, 0
        self.verdict = {"status": "COMPLETE", "publicScore": "0.7819"}
        self.leaderboard = "Rank,TeamId,TeamName,Score\n"
        self.ended, self.lock = threading.Event(), threading.Lock()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        self.shutdown()
        self.server_close()

    @property
    def env(self):
        """What makes the unmodified client talk to this server; TOKEN is its credential."""
        proxy = f"http://127.0.0.1:{self.server_port}"
        names = {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_API_TOKEN": TOKEN,
            "NO_PROXY": "",
            "no_proxy": "",
        }
        return names | {"HTTP_PROXY": proxy, "http_proxy": proxy}

    def IntrospectToken(self, body):
        return {"active": body["token"] == TOKEN, "username": "someone"}

    def GetCompetition(self, body):
        return self.competition if body["competitionName"] == SLUG else 404

    def GetSubmissionLimits(self, body):
        sent = len(self.submissions)
        return {"numToday": sent, "numTotal": sent, "numAllowedNow": self.daily - sent}

    def StartSubmissionUpload(self, body):
        token = f"upload{len(self.uploads)}"
        self.uploads[token] = {"fileName": body["fileName"], "totalBytes": body["contentLength"]}
        return {"token": token, "createUrl": f"http://localhost/upload/{token}"}

    def PUT(self, token, data):
        self.uploads[token]["data"] = data
        return {}

    def CreateSubmission(self, body):
        if len(self.submissions) >= self.daily:
            return 400
        upload = self.uploads[body["blobFileTokens"]]
        assert len(upload["data"]) == upload["totalBytes"]
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ref = 50_000_001 + len(self.submissions)
        description = {"description": body.get("submissionDescription", "")}
        self.submissions.append(upload | description | {"ref": ref, "date": time, "polls": 0})
        return {"message": "Successfully submitted", "ref": ref}

    def GetSubmission(self, body):
        for submission in self.submissions:
            if submission["ref"] == body["ref"]:
                submission["polls"] += 1
                return self.shown(submission)
        return 404

    def ListSubmissions(self, body):
        return {
            "submissions": [self.shown(submission) for submission in reversed(self.submissions)]
        }

    def DownloadLeaderboard(self, body):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"{SLUG}-publicleaderboard.csv", "\ufeff" + self.leaderboard)
        return packed.getvalue()

    def shown(self, submission):
        names = ("ref", "fileName", "totalBytes", "description", "date")
        verdict = (
            self.verdict if submission["polls"] > self.pending_polls else {"status": "PENDING"}
        )
        return {name: submission[name] for name in names} | verdict


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.read())
        method = urlsplit(self.path).path.rsplit("/", 1)[1]
        self.answer(method, lambda: getattr(self.server, method)(body))

    def do_PUT(self):
        data, token = self.read(), self.path.rsplit("/", 1)[1]
        self.answer("PUT", lambda: self.server.PUT(token, data))

    def read(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def answer(self, method, work):
        with self.server.lock:
            self.server.requests[method] += 1
            faults = self.server.faults.get(method, [])
            fault = faults.pop(0) if faults else None
            lost, status = fault if isinstance(fault, tuple) else (None, fault)
            reply = work() if fault is None or lost else status
        if status == "silent":
            self.server.ended.wait(60)
        if status in ("silent", "drop"):
            self.close_connection = True
            return
        if lost:
            reply = status
        if status == "page":
            self.send(200, b"<html>", "text/html")
        elif isinstance(reply, int):
            texts = {400: "You have used your daily Submission allowance"}
            texts[404] = "Competition not found"
            # A server that gives its users' secrets away, to see that ours are cut out.
            message = texts.get(reply, f"no: {self.headers.get('Authorization')}")
            self.send(reply, json.dumps({"code": reply, "message": message}).encode())
        elif isinstance(reply, bytes):
            self.send(200, reply, "application/zip")
        else:
            self.send(200, json.dumps(reply).encode())

    def send(self, status, data, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words):
        pass
