"""Run one peer: read questions from stdin and write answers to stdout, one line of JSON each.

    python -m search_quality.peers.serve "neps primo"

The first question is `{"axes": {path: labels}, "epochs": 4, "seed": 0}`; its answer is whether the peer receives the
result of every epoch. Then `{"ask": true}` is answered by the fields of a `Request`, and `{"tell": trial, "epoch": 4,
"values": [error, cost]}` by whether the training continues.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from search_quality.method import Method, Request
from search_quality.peers import neural_pipeline_search, synetune

PEERS: dict[str, Callable[[dict[str, list[str]], int, int], Method]] = {
    **neural_pipeline_search.PEERS,
    **synetune.PEERS,
}
"""Every peer, by name: from values by axis, the number of epochs and a seed."""


def main() -> None:
    warnings.simplefilter("ignore")
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(what: Any) -> None:
        print(json.dumps(what), file=answers, flush=True)

    start = json.loads(sys.stdin.readline())
    peer = PEERS[sys.argv[1]](start["axes"], start["epochs"], start["seed"])
    answer(peer.every_epoch)
    running: dict[str, Request] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "ask" in question:
            request = peer.ask()
            running[request.trial] = request
            answer(asdict(request))
        else:
            answer(peer.tell(running[question["tell"]], question["epoch"], tuple(question["values"])))


if __name__ == "__main__":
    main()
