# Debian's python3-proxmoxer, unmodified, against a cluster: prints what it was answered as one JSON object.
# Arguments: the certificate of the cluster's authority, the root password, the addresses of three nodes.
import json
import sys
import time

from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.backends.https import AuthenticationError

authority, password, first, second, third = sys.argv[1:]
said = {}


def connect(host, **who):
    # Its own limit of 5 s is for machines that have nothing else to do.
    return ProxmoxAPI(host, verify_ssl=authority, timeout=60, **who)


def refused(call):
    try:
        call()
    except (ResourceException, AuthenticationError) as error:
        return str(error)
    return "not refused"


said["wrongPassword"] = refused(lambda: connect(first, user="root@pam", password="wrong"))
root = connect(first, user="root@pam", password=password)
said["version"] = root.version.get()
said["status"] = root.cluster.status.get()
said["resources"] = root.cluster.resources.get(type="node")
said["nodes"] = root.nodes.get()
said["nodeStatus"] = {name: root.nodes(name).status.get() for name in ("n1", "n3")}
said["join"] = root.cluster.config.join.get()
said["configNodes"] = root.cluster.config.nodes.get()
said["options"] = root.cluster.options.get()
said["wrongParameter"] = refused(lambda: root.cluster.resources.get(type="nonsense"))
said["unknownPath"] = refused(lambda: root.cluster("nothing").get())

upid = root.nodes("n2").services("quorate-node").start.post()
task = root.nodes("n2").tasks(upid)
while task.status.get()["status"] != "stopped":
    time.sleep(0.2)
said["task"] = task.status.get()
said["taskLog"] = task.log.get()
said["tasks"] = root.cluster.tasks.get()
said["nodeTasks"] = root.nodes("n2").tasks.get(source="all", limit=5)

user = "snake@pve"
root.access.users.post(userid=user, password="correct horse", comment="of a foreign client")
root.access.acl.put(path="/", roles="PVEAuditor", users=user)
token = root.access.users(user).token("ci").post(privsep=0, comment="for scripts")
said["users"] = root.access.users.get()
said["tokens"] = root.access.users(user).token.get()
said["roles"] = root.access.roles.get()
said["log"] = root.cluster.log.get(max=50)

own = connect(second, user=user, password="correct horse")
said["ownPermissions"] = own.access.permissions.get()
said["ownForbidden"] = refused(lambda: own.cluster.options.put(keyboard="de"))
script = connect(third, user=user, token_name="ci", token_value=token["value"])
said["tokenStatus"] = script.cluster.status.get()
said["tokenForbidden"] = refused(lambda: script.cluster.options.put(keyboard="de"))

root.access.users(user).token("ci").delete()
said["tokenRevoked"] = refused(lambda: script.cluster.status.get())
root.access.users(user).delete()
said["userGone"] = refused(lambda: own.version.get())
print(json.dumps(said))
