"""python -m resnext"""

from resnext.cli.main import main

main()
