package admin

// DecodeRoute is decodeRoute, for its fuzz test.
var DecodeRoute = decodeRoute

// Endpoints lists the method and path of each endpoint, as http.ServeMux takes them.
func (s *Server) Endpoints() (list [][2]string) {
	for _, e := range s.all() {
		list = append(list, [2]string{e.method, e.path})
	}
	return list
}
