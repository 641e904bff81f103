/**
 * Texts of strangers that people read: without the characters that cannot be seen, or that turn the direction of what stands around them.
 *
 * Unicode has them for good reasons inside a text of one language; in the name of a client they only serve to look like another one.
 */

// Controls (C0, C1), soft hyphen, fillers, marks and overrides of direction (UAX #9), zero width characters, separators of lines, byte order mark,
// interlinear annotation, tags
const hidden =
  // eslint-disable-next-line no-control-regex, no-misleading-character-class -- these are the characters that it is about
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}]/gu

const visible = /[\p{L}\p{N}\p{P}\p{S}]/u

/** The text without what cannot be seen; empty where nothing is left that can be. */
export function visibleText(text: string): string {
  const shown = text.replace(hidden, '')
  return !visible.test(shown)
    ? ''
    : shown.replace(/^[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+|[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+$/g, '')
}
