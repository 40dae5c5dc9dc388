// The verbs of `quorate fs`, for --help and for errors.

export const fsUsage = `ls [PATH]            list a directory
cat PATH             print a file
put PATH [FILE]      replace a file with FILE's content (default: standard input)
mkdir PATH           make a directory
rm PATH              remove a file or an empty directory
mv FROM TO           rename
dump                 every object with mode, size, time and SHA-256`;
