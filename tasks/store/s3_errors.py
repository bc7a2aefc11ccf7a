"""Errors of S3, or of the way to it, as this software words them: what, expected, received, what to do.

They never repeat what was sent, since that may hold keys.
"""

from __future__ import annotations

import re

from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.integrity.conditional_writes import ConflictError

NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    TokenRetrievalError,
)
# Codes of a conditional request whose condition isn't met, as S3 and services like it spell them.
CONDITION_FAILED = {"PreconditionFailed", "ConditionalRequestConflict", "OperationAborted", "412", "409"}
# Codes of a request by somebody who may not make it.
REFUSED = {
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "AuthFailure",
    "InvalidClientTokenId",
    "401",
    "403",
}


def explain(error: BaseException, action: str, endpoint: str, bucket: str) -> StorageError:
    """Return the error to raise in place of botocore's, whose message is left out: it may repeat headers or keys."""
    if isinstance(error, NO_CREDENTIALS):
        return StorageError(
            f"could not {action}: expected credentials where boto3 looks for them (AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, a profile, the machine's role), received none or a part. Set them, run again."
        )
    if isinstance(error, NoRegionError):
        return StorageError(f"could not {action}: expected a region, received none. Set AWS_DEFAULT_REGION.")
    if not isinstance(error, ClientError):
        return StorageError(
            f"could not {action}: expected an answer from {endpoint}, received none that is whole "
            f"({type(error).__name__}), also after retries. Check the service, its address and the way to it, "
            "then run again; nothing half-written is visible."
        )
    code = _code_of(error)
    if code in CONDITION_FAILED:
        return ConflictError(f"could not {action}: expected it unchanged, received another version. Run again.")
    if code in {"NoSuchKey", "404"}:  # what `If-Match` meets where there is none
        return ConflictError(
            f"could not {action}: expected it to be there, received none. It was removed meanwhile; run again."
        )
    if code == "NoSuchBucket":
        reason = f"expected the bucket {bucket!r}, received none of that name. Create it, or mend --root or --landing"
    elif code in REFUSED:
        reason = (
            f"expected credentials that may do this, received {code} from {endpoint}. Check which ones boto3 finds "
            "(`aws sts get-caller-identity`) and the bucket's policy"
        )
    elif code in {"NotImplemented", "501"}:
        reason = (
            f"expected a service that knows this request, received {code}, from {endpoint}. Conditional writes need "
            "If-Match and If-None-Match: use a service that honours them, as S3 does"
        )
    else:
        reason = f"expected success, received {code} from {endpoint}, also after retries. Run again later"
    return StorageError(f"could not {action}: {reason}.")


def cache_error(action: str, path: str, root: str, error: OSError) -> StorageError:
    """Explain the operating system's error: only the local cache raises one."""
    reason = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
    return StorageError(
        f"could not {action} {path} under {root}: expected a writable local cache with room, received: {reason}. "
        "Nothing was published; free space, or set CTR_RETRAIN_CACHE, and run again."
    )


def other_size(place: str, name: str, expected: str, received: int) -> StorageError:
    """Make the error of a key whose size is not what was said."""
    return StorageError(
        f"{place}/{name}: expected {expected} bytes, received {received:,}. It is damaged: restore it from a backup."
    )


def _code_of(error: ClientError) -> str:
    """Return the service's code, such as SlowDown; nothing else of its response, and only if it looks like one."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return code if re.fullmatch(r"[A-Za-z0-9.]{1,60}", code) else "an error"
