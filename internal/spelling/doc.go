// Package spelling finds the word that somebody probably meant, for the text of a
// refusal. What is accepted is not its matter: nothing is ever taken for another word.
package spelling
