#!/usr/bin/env bash
# betterproto2 does not heed `json_name`: its JSON has other names than the proto says.
#
# Versions: betterproto2 0.10.0, betterproto2-compiler 0.10.1, grpcio-tools 1.85.1,
# protobuf as pip chooses it for these, Python 3.11.
#
# `json_name` gives a field its name in JSON. protobuf's own library writes that
# name, and reads it as well as the proto's. betterproto2 writes the name that it
# makes of the proto's, and raises KeyError for the one that the proto says.
#
# Seen, of `repeated string ids = 1 [json_name = "id"]`:
#     protobuf writes {"id": ["a"]}
#     protobuf reads {"id": ["a"]} as ['a']
#     betterproto2 writes {"ids": ["a"]}
#     betterproto2 reads {"id": ["a"]} as KeyError
#
# Exits with 1 when it is otherwise.
set -euo pipefail

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
export PATH=$PWD/venv/bin:$PATH
pip install --quiet --disable-pip-version-check betterproto2==0.10.0 betterproto2-compiler==0.10.1 grpcio-tools==1.85.1

cat >query.proto <<'PROTO'
syntax = "proto3";
package test;
message Query {
  repeated string ids = 1 [json_name = "id"];
}
PROTO
mkdir plain better
python -m grpc_tools.protoc -I. --python_out=plain query.proto
python -m grpc_tools.protoc -I. --python_betterproto2_out=better query.proto 2>errors || { cat errors >&2; exit 1; }

cat >calls.py <<'PYTHON'
import json
import sys

from google.protobuf import json_format

JSON = '{"id": ["a"]}'


def shown(read):
    try:
        return list(read().ids)
    except Exception as error:
        return type(error).__name__


sys.path.insert(0, "plain")
from query_pb2 import Query

print("protobuf writes", json.dumps(json_format.MessageToDict(Query(ids=["a"]))))
print("protobuf reads", JSON, "as", shown(lambda: json_format.Parse(JSON, Query())))

from better.test import Query

print("betterproto2 writes", json.dumps(json.loads(Query(ids=["a"]).to_json())))
print("betterproto2 reads", JSON, "as", shown(lambda: Query.from_json(JSON)))
PYTHON

python calls.py | tee seen
diff --unified - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
protobuf writes {"id": ["a"]}
protobuf reads {"id": ["a"]} as ['a']
betterproto2 writes {"ids": ["a"]}
betterproto2 reads {"id": ["a"]} as KeyError
EXPECTED
