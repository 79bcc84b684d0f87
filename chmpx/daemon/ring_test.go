package daemon

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPairsByControlPortAndCUK(t *testing.T) {
	node := func(name string, port int, cuk, state string) Node {
		return Node{Name: name, CtlPort: port, CUK: cuk, State: state}
	}
	a, b := node("a.example", 9031, "a1", serving), node("b.example", 9031, "b2", serving)
	tests := []struct {
		name         string
		has          []Node
		file         []Server
		joined, left []string
	}{
		{"the same", []Node{a, b}, []Server{b.Server(), a.Server()}, nil, nil},
		{"a name of the resolver's", []Node{a}, []Server{{"192.0.2.7", 9031, "a1"}}, nil, nil},
		{"a listed server that is down is no difference",
			[]Node{a, node("b.example", 9031, "b2", outDown)}, []Server{a.Server(), b.Server()}, nil, nil},
		{"joined", []Node{a, b}, []Server{a.Server()}, []string{"b.example"}, nil},
		{"left", []Node{a}, []Server{a.Server(), b.Server()}, nil, []string{"b.example"}},
		{"one for another on the same host", []Node{node("a.example", 9032, "a1", serving)}, []Server{a.Server()},
			[]string{"a.example"}, []string{"a.example"}},
		{"a new CUK on the same port", []Node{node("a.example", 9031, "a2", serving)}, []Server{a.Server()},
			[]string{"a.example"}, []string{"a.example"}},
		{"servers without CUK are counted, the name tells which joined",
			[]Node{node("n3", 1, "", serving), node("n1", 1, "", serving), node("n2", 1, "", serving)},
			[]Server{{"n1", 1, ""}, {"N2", 1, ""}}, []string{"n3"}, nil},
		{"servers without CUK are counted, the name tells which left",
			[]Node{node("n2", 1, "", serving)}, []Server{{"n1", 1, ""}, {"n2", 1, ""}}, nil, []string{"n1"}},
		{"servers without CUK under other names are as many",
			[]Node{node("x", 1, "", serving), node("y", 1, "", serving)}, []Server{{"n1", 1, ""}, {"n2", 1, ""}}, nil, nil},
		{"chmpx knows nobody", nil, []Server{a.Server()}, nil, []string{"a.example"}},
		{"an empty file", []Node{a}, nil, []string{"a.example"}, nil},
		{"nothing on either side", nil, nil, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := append([]Server(nil), tt.file...)
			var joined, left []string
			for _, p := range Pairs(Status{Servers: tt.has}, tt.file) {
				switch {
				case !p.InFile:
					joined = append(joined, p.Name)
				case !p.InRing:
					left = append(left, p.Name)
				}
			}
			if diff := cmp.Diff(tt.joined, joined); diff != "" {
				t.Error("joined (-want +got)\n" + diff)
			}
			if diff := cmp.Diff(tt.left, left); diff != "" {
				t.Error("left (-want +got)\n" + diff)
			}
			if diff := cmp.Diff(file, tt.file); diff != "" {
				t.Error("the caller's list was changed\n" + diff)
			}
		})
	}
}

func TestLeavingNamesThoseThatWentOutAndDownSinceTheLastLook(t *testing.T) {
	at := func(state string) Status {
		return Status{Servers: []Node{{Name: "a", CtlPort: 1, CUK: "a", State: serving}, {Name: "b", CtlPort: 1, CUK: "b", State: state}}}
	}
	tests := []struct {
		name        string
		before, now Status
		want        []string
	}{
		{"it went", at(serving), at(outDown), []string{"b"}},
		{"it crashed first and was taken out then", at(crashed), at(outDown), []string{"b"}},
		{"it went earlier", at(outDown), at(outDown), nil},
		{"it crashed", at(serving), at(crashed), nil},
		{"it came", at(outDown), at(serving), nil},
		{"it was never there", Status{}, at(outDown), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, names(Leaving(tt.before, tt.now))); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
		})
	}
}

func names(nodes []Node) []string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.Name)
	}
	return list
}

func TestWords(t *testing.T) {
	for state, want := range map[string]string{
		"[SERVICE IN][UP][n/a][Nothing][NoSuspend]":    "up",
		"[SERVICE IN][UP][n/a][Nothing][Suspend]":      "up, no program serves",
		"[SERVICE OUT][UP][n/a][Nothing][NoSuspend]":   "up, out of the ring",
		"[SERVICE OUT][UP][ADD][Pending][NoSuspend]":   "up, joining (waits)",
		"[SERVICE IN][UP][DELETE][Doing][NoSuspend]":   "up, leaving (copies)",
		"[SERVICE IN][UP][ADD][Done][NoSuspend]":       "up, joining (waits for the others)",
		"[SERVICE IN][DOWN][n/a][Nothing][NoSuspend]":  "down",
		"[SERVICE OUT][DOWN][n/a][Nothing][NoSuspend]": "down",
		"": "down",
	} {
		if got := (Node{State: state}).Words(); got != want {
			t.Errorf("%s: %q, want %q", state, got, want)
		}
	}
}

func TestPairs(t *testing.T) {
	file := []Server{{"a", 1, "x"}, {"b", 1, "x"}, {"c", 2, "y"}}
	st := Status{Servers: []Node{{Name: "B", CtlPort: 1, CUK: "x"}, {Name: "alias", CtlPort: 1, CUK: "x"}, {Name: "d", CtlPort: 3}}}
	var got []string
	for _, p := range Pairs(st, file) {
		got = append(got, fmt.Sprintf("%s %v %v %s", p.Name, p.InFile, p.InRing, p.Node.Name))
	}
	if want := []string{"a true true alias", "b true true B", "c true false ", "d false true d"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
