"""What a user would write without the gateway: the vendor's official SDK in a loop.

    sdk.py <url of the vendor> <seconds>

Prints, as JSON, what single reads and bulk reads of 50 cost this process.
"""

import json
import os
import resource
import sys
import time

import PureCloudPlatformClientV2 as sdk

USERS = [f"00000000-0000-4000-8000-{number:012}" for number in range(50)]


def measured(call, seconds):
    """Calls until the time is over; what it took."""
    call()
    times = []
    began, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    times.sort()
    return {
        "cpu_us": cpu / len(times) * 1e6,
        "per_second": len(times) / took,
        "p50_ms": times[len(times) // 2] * 1e3,
        "p99_ms": times[len(times) * 99 // 100] * 1e3,
    }


def main():
    """Measures, and prints."""
    url, seconds = sys.argv[1], float(sys.argv[2])
    sdk.configuration.host = url
    sdk.configuration.access_token = "token"
    api = sdk.PresenceApi(sdk.ApiClient(host=url))
    api.api_client.access_token = "token"
    one = api.get_user_presences_purecloud(USERS[0])
    many = api.get_users_presences_purecloud_bulk(id=USERS)
    assert USERS[0] in one.self_uri, one
    assert [presence.user_id for presence in many] == USERS, many
    print(json.dumps({
        "unary": measured(lambda: api.get_user_presences_purecloud(USERS[0]), seconds),
        "bulk": measured(lambda: api.get_users_presences_purecloud_bulk(id=USERS), seconds),
        "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }))


if __name__ == "__main__":
    os.environ.pop("http_proxy", None)
    main()
