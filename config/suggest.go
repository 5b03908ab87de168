package config

import "strings"

// nearest returns the candidate that a misspelt word probably means: at most a third of its letters are wrong, and
// case and the choice between - and _ do not count.
func nearest(word string, candidates []string) (string, bool) {
	const longest = 40
	if len(word) > longest {
		return "", false
	}
	best, least := "", longest
	word = plainWord(word)
	for _, c := range candidates {
		if d := distance(word, plainWord(c)); d < least && d <= max(1, len(c)/3) {
			best, least = c, d
		}
	}
	return best, best != ""
}

func plainWord(w string) string { return strings.ReplaceAll(strings.ToLower(w), "-", "_") }

// distance is how many octets must be inserted, removed or changed, or neighbours swapped, to make b of a.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			changed := row[j]
			if a[i] != b[j] {
				changed++
			}
			next[j+1] = min(changed, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
