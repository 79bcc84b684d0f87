# same_key SOURCES URI SUITE KEYRING: what the image knows of the same repository
# names the same keyring. Where two entries name two, apt reads no source at all.
same_key() {
	for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		if [ ! -e "$list" ] || [ "$list" = "$1" ]; then continue; fi
		# It succeeds if it has changed something.
		if awk -v uri="$2" -v suite="$3" -v key="$4" -v kind="${list##*.}" '
			function same(u) { sub(/\/+$/, "", u); return u == uri }
			function finish(    i, n, value, name, field, words, hit) { # a stanza
				for (i = 1; i <= lines; i++) {
					value = line[i]
					if (value ~ /^#/) continue
					if (value ~ /^[^ \t]+:/) {
						name = tolower(value); sub(/:.*/, "", name)
						sub(/^[^:]*:/, "", value)
					}
					of[i] = name
					field[name] = field[name] " " value
				}
				n = split(field["uris"], words)
				for (i = 1; i <= n; i++) if (same(words[i])) hit = 1
				n = split(field["suites"], words)
				for (i = 1; i <= n; i++) if (words[i] == suite) hit++
				value = field["signed-by"]; gsub(/^[ \t]+|[ \t]+$/, "", value)
				hit = hit > 1 && value != key
				for (i = 1; i <= lines; i++) if (!hit || of[i] != "signed-by") print line[i]
				if (hit) { print "Signed-By: " key; changed = 1 }
				for (i in of) delete of[i]
				lines = 0
			}
			kind == "sources" && /^[ \t]*$/ { finish(); print; next }
			kind == "sources" { line[++lines] = $0; next }
			/^[ \t]*deb(-src)?[ \t]/ {
				options = ""; rest = $0
				sub(/^[ \t]*deb(-src)?[ \t]+/, "", rest)
				if (rest ~ /^\[/) {
					options = rest; sub(/\].*/, "", options); sub(/^\[/, "", options)
					sub(/^[^\]]*\][ \t]*/, "", rest)
				}
				split(rest, words)
				if (same(words[1]) && words[2] == suite && index(" " options " ", " signed-by=" key " ") == 0) {
					gsub(/[Ss]igned-[Bb]y=[^ \t]*/, "", options)
					print $1 " [" options " signed-by=" key "] " rest
					changed = 1
					next
				}
			}
			{ print }
			END { finish(); exit !changed }' "$list" >"$list.part"; then
			chmod 0644 "$list.part"
			mv -f "$list.part" "$list"
			say "$list knows the repository $2 too; it goes by the key in $4 now"
		fi
		rm -f "$list.part"
	done
}

