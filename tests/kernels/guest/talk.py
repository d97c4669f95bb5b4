# SPDX-License-Identifier: Apache-2.0
"""Exchanges over loopback whose truth is known, from one process that is both ends.

Usage: talk.py CONNECTIONS EXCHANGES   (a process of many, see busy in check.py)
"""
import socket
import sys
import threading

QUESTION, ANSWER = b"q" * 1000, b"a" * 300


def serve(listener, connections, exchanges):
    for _ in range(connections):
        connection, _ = listener.accept()
        for _ in range(exchanges):
            connection.recv(len(QUESTION), socket.MSG_WAITALL)
            connection.send(ANSWER)
        connection.recv(1)  # until the other end closes
        connection.close()


def talk(connections, exchanges):
    """Makes the traffic; its truth per role."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = threading.Thread(target=serve, args=(listener, connections, exchanges))
    server.start()
    for _ in range(connections):
        with socket.create_connection(listener.getsockname()) as connection:
            for _ in range(exchanges):
                connection.send(QUESTION)
                connection.recv(len(ANSWER), socket.MSG_WAITALL)
    server.join()
    listener.close()
    return truth(connections, exchanges)


def truth(connections, exchanges):
    count = connections * exchanges
    asked, answered = count * len(QUESTION), count * len(ANSWER)
    both = {"opened": connections, "closed": connections, "writes": count, "reads": count}
    return {"client": {**both, "sent": asked, "received": answered},
            "server": {**both, "sent": answered, "received": asked}}


if __name__ == "__main__":
    talk(int(sys.argv[1]), int(sys.argv[2]))
