// Package bugreport packs what a support case needs into one archive: from a list of what may be in
// it, without secrets. What holds a known secret after all, however it is written there, is cleaned
// line by line, and left out where that does not help.
package bugreport
