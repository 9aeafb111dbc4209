"""Storage of the local cluster: folders on this machine as PersistentVolumes, given back when their claim is gone.

Kubernetes has no provisioner for such volumes, and a volume whose claim was deleted stays `Released` for ever. The
process started from here watches for that, empties the folder and offers the volume again, so that installing,
deleting and installing again works as with a cloud's storage.
"""

from __future__ import annotations

import http.client
import shutil
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from local_cluster.api import Api, ApiError, Json
from local_cluster.certificates import Certificate

_COUNT = 8
_CAPACITY = "20Gi"
_LABEL = "splai.dev/local-volume"
_COLLECTION = "/api/v1/persistentvolumes"
_WATCH_SECONDS = 300


def offer(api: Api, directory: Path, *, node: str) -> None:
    """Create the volumes that do not exist; their folders lie in `directory`."""
    existing = {volume["metadata"]["name"] for volume in _list(api)["items"]}
    for number in range(_COUNT):
        name = f"local-{number}"
        folder = directory / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # pods run as any user
        if name not in existing:
            api.create(_COLLECTION, _volume(name, folder, node))


def give_back_released(api: Api) -> NoReturn:
    """Empty and offer again each volume whose claim was deleted, for ever."""
    while True:
        try:
            volumes = _list(api)
            for volume in volumes["items"]:
                _give_back(api, volume)
            api.close()  # it would idle longer than the server keeps it
            version = volumes["metadata"]["resourceVersion"]
            for event in api.watch(_COLLECTION, version, seconds=_WATCH_SECONDS):
                if event["type"] == "ERROR":
                    break
                _give_back(api, event["object"])
        except (ApiError, OSError, http.client.HTTPException) as error:
            print(f"asking the apiserver again: {error}", file=sys.stderr, flush=True)
            time.sleep(1)


def _list(api: Api) -> Json:
    return api.get(f"{_COLLECTION}?labelSelector={_LABEL}")


def _give_back(api: Api, volume: Json) -> None:
    """Empty one volume and offer it again, if it is released."""
    if not _released(volume):
        return
    # What was seen may be old, and a volume that is in use again must keep its files: look once more. While it is
    # released nobody can claim it, so nothing can happen between this look and the patch.
    volume = api.get(f"{_COLLECTION}/{volume['metadata']['name']}")
    if not _released(volume):
        return
    print(f"giving back {volume['metadata']['name']}", flush=True)
    for entry in Path(volume["spec"]["hostPath"]["path"]).iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    version = volume["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "spec": {"claimRef": None}}
    api.merge(f"{_COLLECTION}/{volume['metadata']['name']}", patch)


def _released(volume: Json) -> bool:
    return _LABEL in volume["metadata"].get("labels", {}) and volume["status"].get("phase") == "Released"


def _volume(name: str, folder: Path, node: str) -> Json:
    on_this_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {_LABEL: "true"}},
        "spec": {
            "capacity": {"storage": _CAPACITY},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "standard",
            "hostPath": {"path": str(folder), "type": "Directory"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_this_node]}]}},
        },
    }


if __name__ == "__main__":
    server, authority, certificate, key = sys.argv[1:]
    login = Certificate(Path(certificate), Path(key))
    with closing(Api(server, authority=Path(authority), login=login)) as client:
        give_back_released(client)
