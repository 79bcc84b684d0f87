// Package chmpx stands in for chmpx and its tools where they are not installed.
//
// It has its own loader of chmpx's INI files, written from the measured
// behaviour of chmpx 1.0.113 and from nothing the agent uses, so that the two can be
// held against each other; a model of a running slave ([Slave]); chmpx's way of
// watching its file ([Watch]); and, built by [Build], one program that is chmpx,
// chmpxstatus or chmpxconftest by the name it is called by.
//
// Comments such as "(C.3)" name sections of that specification.
package chmpx
