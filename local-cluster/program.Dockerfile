# One static program and nothing else: the images of Kueue and Argo Workflows in the tests.
FROM scratch
ADD folders.tar /
COPY bin /bin
USER 65532:65532
