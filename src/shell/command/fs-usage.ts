// The verbs of `quorate fs`, for --help and for errors.

export const fsUsage = `ls [PATH]            list a directory; bytes of a name that are no text are shown, and taken, as \\xNN
cat PATH             print a file
get PATH [FILE]      copy a file or a directory to FILE, which must not exist (default: the same name here)
put PATH [FILE]      replace a file with FILE's content (default: standard input); a directory: all that is in it
mkdir PATH           make a directory
rm PATH              remove a file or an empty directory
mv FROM TO           rename
dump                 every object with mode, size, time and SHA-256`;
