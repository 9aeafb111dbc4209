# One static program and nothing else: the images of Kueue and Argo Workflows in the tests.
FROM scratch
COPY . /bin/
USER 65532:65532
