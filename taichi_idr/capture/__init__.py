"""Photos, silhouettes and cameras of a folder, read, checked and put into a frame; and a capture of our own.

It owns the formats (formats/, one file each) and what is said about bad input; it stands on cameras, files and ops.
It never knows what is fitted to a capture.

In the order of reading: `images`, `distortion`, `masks` and `ignored` make pixels of files, `intrinsics` looks at
cameras. `placing` settles the frame with `frame` (the file's) or `normalise` (found), asks `hulls` whether views
agree, and `suspects` and `order` why not. `quality`, `coverage` and `inspection` judge a capture before a fit;
`pixels` is what a fit draws from; `memory` and `fingerprints` know what that takes and what it began with.
"""
