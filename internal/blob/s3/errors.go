package s3

import (
	"context"
	"errors"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"holdfast/internal/escrow"
)

// apiCode is what the service calls an error, "" if it said nothing.
func apiCode(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func status(err error) int {
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}

// objectError explains an error about one object. A HEAD has no body, so that
// a missing object and a missing bucket look alike: the bucket is asked.
func (s *Store) objectError(ctx context.Context, err error, name string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch apiCode(err) {
	case "NoSuchKey", "NotFound":
		if apiCode(err) == "NotFound" {
			if berr := s.Probe(ctx); berr != nil {
				return berr
			}
		}
		return escrow.Wrap(err, escrow.Missing, "object %s is not held", name)
	case "":
		if status(err) == http.StatusNotFound {
			return escrow.Wrap(err, escrow.Missing, "object %s is not held", name)
		}
	}
	return s.explain(ctx, err)
}

// explain turns an error of the service into one that a person can act on. The
// service's own words are the cause, for the log; they hold no secret, since
// requests are signed and carry none.
func (s *Store) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	where := "bucket " + s.o.Bucket + " at " + Host(s.o.Endpoint, s.o.Region)
	wrap := func(code escrow.Code, text, hint string) error {
		return escrow.Wrap(err, code, "%s %s", where, text).WithHint("%s", hint)
	}
	if e, ok := errors.AsType[*escrow.Error](err); ok { // of the credentials
		return escrow.Wrap(err, escrow.Unavailable, "%s cannot be used: %s", where, e.Message).WithHint("%s", e.Hint)
	}
	code, http3 := apiCode(err), status(err)
	switch code {
	case "NoSuchBucket", "NotFound":
		return wrap(escrow.Unavailable, "is not there", "check the name of the bucket and the endpoint; Holdfast makes no buckets")
	case "AccessDenied", "Forbidden", "AllAccessDisabled", "AccountProblem":
		return wrap(escrow.Unavailable, "refuses access", "give these credentials the right to list, read, write and delete objects in it")
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidSecurity":
		return wrap(escrow.Unavailable, "does not know these credentials", "check the credentials file of the location")
	case "RequestTimeTooSkewed", "RequestExpired":
		return wrap(escrow.Unavailable, "says that the clock of this machine is wrong", "set the clock; run a time service")
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException", "MovedPermanently", "IncorrectEndpoint":
		return wrap(escrow.Unavailable, "is in another region", "set the region of the location to the bucket's")
	case "QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "InsufficientCapacity", "ServiceQuotaExceededException":
		return wrap(escrow.Full, "has no room left", "raise its quota or free space, then try again; nothing was stored")
	case "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "ThrottlingException":
		return wrap(escrow.Unavailable, "is too busy", "it is tried again; lower 'requests' or 'bandwidth' of the location if that stays so")
	}
	switch http3 {
	case http.StatusMovedPermanently, http.StatusBadRequest:
		return wrap(escrow.Unavailable, "does not take the request", "check the region and the endpoint of the location")
	case http.StatusForbidden, http.StatusUnauthorized:
		return wrap(escrow.Unavailable, "refuses access", "check the credentials of the location and what they may do")
	case http.StatusInsufficientStorage:
		return wrap(escrow.Full, "has no room left", "raise its quota or free space, then try again; nothing was stored")
	case 0:
		return wrap(escrow.Unavailable, "does not answer", "check that the service runs and that the endpoint is right")
	}
	return wrap(escrow.Unavailable, "does not work", "see the server's log for what it answered")
}
