package fakechmpx

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// maxPath is the length chmpx allows for CAPATH and NSSDB_DIR, its end mark included.
const maxPath = 1024

// globalTLS reads the TLS settings of GLOBAL (B.2). SSL and SSL_VERIFY_PEER are
// read already.
func (l *loader) globalTLS(doc document) error {
	g, t := doc.global, &l.tls
	if t.VerifyPeer && !t.On {
		return errors.New("SSL_VERIFY_PEER is on while SSL is off")
	}
	if err := l.minVersion(g); err != nil {
		return err
	}
	if err := l.nssDir(g); err != nil {
		return err
	}
	if err := l.clientPaths(g, t); err != nil {
		return err
	}
	if err := l.paths(g, map[string]*string{
		"SERVER_CERT": &t.ServerCert, "SERVER_PRIKEY": &t.ServerPriKey,
	}, isFile); err != nil {
		return err
	}
	if !t.On && (t.ServerCert != "" || t.ServerPriKey != "") {
		return errors.New("SERVER_CERT or SERVER_PRIKEY is set while SSL is off")
	}
	return nil
}

func (l *loader) minVersion(g keys) error {
	v := strings.ToUpper(g["SSL_MIN_VER"])
	switch v {
	case "", "DEFAULT":
		v = "DEFAULT"
	case "SSLV2", "SSLV3", "TLSV1.0", "TLSV1.1", "TLSV1.2", "TLSV1.3":
		if !l.tls.On {
			return errors.New("SSL_MIN_VER is set while SSL is off")
		}
	default:
		return unknown("SSL_MIN_VER", g)
	}
	l.config.Tuning.SSLMinVer = v
	return nil
}

// nssDir is the one path for which an empty value does not mean "unset".
func (l *loader) nssDir(g keys) error {
	if !g.has("NSSDB_DIR") {
		return nil
	}
	dir := g["NSSDB_DIR"]
	info, err := l.host.stat(dir)
	switch {
	case dir == "" || err != nil || !info.IsDir():
		return fmt.Errorf("NSSDB_DIR %q is not a directory", dir)
	case len(dir) >= maxPath:
		return errors.New("NSSDB_DIR is too long")
	case !l.tls.On:
		return errors.New("NSSDB_DIR is set while SSL is off")
	}
	l.config.Tuning.NSSDBDir = dir
	return nil
}

// clientPaths reads the paths servers and slaves have.
func (l *loader) clientPaths(k keys, t *TLS) error {
	if err := l.paths(k, map[string]*string{"SLAVE_CERT": &t.SlaveCert}, isFile); err != nil {
		return err
	}
	if err := l.paths(k, map[string]*string{"SLAVE_PRIKEY": &t.SlavePriKey}, isFile); err != nil {
		return err
	}
	if !k.has("CAPATH") {
		return nil
	}
	if err := l.paths(k, map[string]*string{"CAPATH": &t.CAPath}, isFileOrDir); err != nil {
		return err
	}
	if len(t.CAPath) >= maxPath {
		return errors.New("CAPATH is too long")
	}
	t.CAFile = false
	if info, err := l.host.stat(t.CAPath); t.CAPath != "" && err == nil {
		t.CAFile = isFile(info)
	}
	return nil
}

// slavePaths is clientPaths for a slave node, whose key is not looked at unless
// there is a certificate to it.
func (l *loader) slavePaths(k keys, t *TLS) error {
	key, hasKey := k["SLAVE_PRIKEY"]
	rest := maps.Clone(k)
	delete(rest, "SLAVE_PRIKEY")
	if err := l.clientPaths(rest, t); err != nil {
		return err
	}
	if hasKey && t.SlaveCert == "" {
		t.SlavePriKey = ""
		if !strings.EqualFold(key, "NULL") {
			t.SlavePriKey = key
		}
		return nil
	}
	return l.clientPaths(k, t)
}

// paths sets each path whose key is present; empty and NULL unset it. fit says
// whether what is there will do.
func (l *loader) paths(k keys, paths map[string]*string, fit func(fs.FileInfo) bool) error {
	for key, to := range paths {
		if !k.has(key) {
			continue
		}
		path := k[key]
		if path == "" || strings.EqualFold(path, "NULL") {
			*to = ""
			continue
		}
		info, err := l.host.stat(path)
		if err != nil || !fit(info) {
			return fmt.Errorf("%s: there is no such file: %q", key, path)
		}
		*to = path
	}
	return nil
}

func isFile(info fs.FileInfo) bool { return info.Mode().IsRegular() }

func isFileOrDir(info fs.FileInfo) bool { return info.IsDir() || isFile(info) }

// mutualTLS checks the nodes against each other (C.2).
func (l *loader) mutualTLS(document) error {
	anyTLS, verify, caPath := false, false, l.tls.CAPath != ""
	for _, n := range l.config.Servers {
		anyTLS = anyTLS || n.TLS.On
		verify = verify || n.TLS.VerifyPeer
		caPath = caPath || n.TLS.CAPath != ""
	}
	for _, n := range l.config.Servers {
		if n.TLS.SlaveCert == "" && n.TLS.SlavePriKey != "" {
			return fmt.Errorf("node %q: SLAVE_PRIKEY is set without SLAVE_CERT", n.Name)
		}
	}
	for _, n := range slices.Concat(l.config.Servers, l.config.Slaves) {
		caPath = caPath || n.TLS.CAPath != ""
		switch {
		case n.TLS.SlaveCert != "" && n.TLS.SlavePriKey == "":
			return fmt.Errorf("node %q: SLAVE_CERT is set without SLAVE_PRIKEY", n.Name)
		case verify && n.TLS.SlaveCert == "":
			return fmt.Errorf("node %q: peer verification needs SLAVE_CERT and SLAVE_PRIKEY", n.Name)
		case !verify && n.TLS.SlaveCert != "":
			return fmt.Errorf("node %q: SLAVE_CERT is set, but no server verifies its peers", n.Name)
		}
	}
	if caPath && !anyTLS {
		return errors.New("CAPATH is set, but no server has SSL on")
	}
	return nil
}
