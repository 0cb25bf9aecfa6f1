package admin

// DecodeRoute is decodeRoute, for its fuzz test.
var DecodeRoute = decodeRoute

// Endpoints returns the method and path of each endpoint, as patterns of http.ServeMux.
func (s *Server) Endpoints() (list [][2]string) {
	for _, e := range s.all() {
		list = append(list, [2]string{e.method, e.path})
	}
	return list
}
