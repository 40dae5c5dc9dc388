# Writes every datagram that arrives at the socket argv[1] to the file argv[2]: what a service manager hears (sd_notify).
import os, socket, sys

listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
print("bound", flush=True)
while True:
    message = listener.recv(4096).decode()
    with open(sys.argv[2], "a") as file:
        file.write(message + "\n")
