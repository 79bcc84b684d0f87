// Package doctor looks for the cause of a trouble on this host: it walks the whole chain from the
// agent's configuration over K2HR3 and slave.ini to chmpx and its applications, check by check, and
// tells the first cause from its consequences.
//
// It changes nothing, but for the one key of WriteTest. K2HR3 gets four requests at most, none of
// which changes anything there, and chmpx's control port is not opened.
package doctor
