package suite

import "strings"

// nearestRow finds the algorithm whose name or alias is nearest to a misspelt word. It must be near: a third of the
// letters may be wrong.
func nearestRow(word string) (Row, bool) {
	const longest = 32 // no name is near to a longer word
	if len(word) > longest {
		return Row{}, false
	}
	var best Row
	least := longest
	for _, r := range table {
		for _, name := range append(strings.Fields(r.Aliases), r.Name) {
			if d := distance(strings.ToLower(word), name); d < least && d <= max(1, len(name)/3) {
				best, least = r, d
			}
		}
	}
	return best, best.Name != ""
}

// distance is Levenshtein's: how many octets must be inserted, removed or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
