package admin

// DecodeRoute is decodeRoute, for its fuzz test.
var DecodeRoute = decodeRoute
