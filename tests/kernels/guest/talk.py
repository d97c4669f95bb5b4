# SPDX-License-Identifier: Apache-2.0
"""A few exchanges over loopback whose truth is known, from one process that is both ends."""
import socket
import threading

CONNECTIONS, EXCHANGES = 5, 20
QUESTION, ANSWER = b"q" * 1000, b"a" * 300


def serve(listener):
    for _ in range(CONNECTIONS):
        connection, _ = listener.accept()
        for _ in range(EXCHANGES):
            connection.recv(len(QUESTION), socket.MSG_WAITALL)
            connection.send(ANSWER)
        connection.recv(1)  # until the other end closes
        connection.close()


def exchanges():
    """Makes the traffic; its truth per role."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = threading.Thread(target=serve, args=(listener,))
    server.start()
    for _ in range(CONNECTIONS):
        with socket.create_connection(listener.getsockname()) as connection:
            for _ in range(EXCHANGES):
                connection.send(QUESTION)
                connection.recv(len(ANSWER), socket.MSG_WAITALL)
    server.join()
    listener.close()
    count = CONNECTIONS * EXCHANGES
    asked, answered = count * len(QUESTION), count * len(ANSWER)
    both = {"opened": CONNECTIONS, "writes": count, "reads": count}
    return {"client": {**both, "sent": asked, "received": answered},
            "server": {**both, "sent": answered, "received": asked}}
