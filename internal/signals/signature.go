package signals

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// SignatureHeader is the name of the header with the signature of a webhook's request.
const SignatureHeader = "Sluice-Signature"

// Sign returns the value of SignatureHeader: the time in seconds since 1970, and the
// HMAC-SHA256 in hexadecimal digits over that number, a dot and the body. With the time, a
// receiver can refuse a replay of an old request.
func Sign(secret []byte, at time.Time, body []byte) string {
	moment := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte(moment + ".")) // never fails
	_, _ = mac.Write(body)
	return "t=" + moment + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
