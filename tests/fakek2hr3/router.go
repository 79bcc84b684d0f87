package fakek2hr3

import "net/http"

// route finds the answer to one exchange. The caller holds mu.
func (s *Server) route(ex *exchange, active *requestFaults) answer {
	a := s.dispatch(ex, active)
	a.noETag = a.noETag || active.has(NoETag)
	return finish(ex, a)
}

func (s *Server) dispatch(ex *exchange, active *requestFaults) answer {
	if ex.malformed {
		return internalError(http.StatusInternalServerError)
	}
	switch ex.op {
	case OpRoot:
		return jsonAnswer(http.StatusOK, `{"version":["v1"]}`)
	case OpRegister:
		return s.putRole(ex, active)
	case OpProbe:
		return s.headRole(ex, active)
	case OpLeave:
		return s.deleteRole(ex, active)
	case OpToken:
		return s.getRole(ex, active)
	case OpResource:
		return s.getResource(ex, active)
	case OpScope:
		return s.postUserToken(ex, active)
	case OpUserdata:
		if ex.mount == "/v1/extdata" {
			return s.extdata(ex)
		}
		return s.userdata(ex)
	}
	return internalError(http.StatusNotFound)
}
