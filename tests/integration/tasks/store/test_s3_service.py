"""The S3 service of the stack and of tests: what one client does holds up no other one."""

import socket


def test_a_client_that_stops_amid_a_request_keeps_no_other_one_waiting(s3_server):
    bucket = s3_server.new_bucket()
    with socket.create_connection(("127.0.0.1", s3_server.port)) as stopped:
        head = f"PUT /{bucket}/half HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nhalf"
        stopped.sendall(head.encode())
        s3_server.client().put_object(Bucket=bucket, Key="whole", Body=b"content")
    (only,) = s3_server.client().list_objects_v2(Bucket=bucket)["Contents"]
    assert only["Key"] == "whole"
