package signals

import "sluice.io/sluice/api"

// Encode returns the body that a webhook sends.
func Encode(s api.SignalData, source string) ([]byte, error) { return encode(s, source, "") }
