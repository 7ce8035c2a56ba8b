from speech_endpoint.cli.main import main

main(prog_name="speech")
